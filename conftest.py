"""Fixtures of all apps. The stores come from devstack/pytest_plugin.py."""

from __future__ import annotations

import pytest


@pytest.fixture
def stores(running_stores: None) -> None:
    """Empty tables of a new generation, an empty Redis, and no memory of earlier tests."""
    from scores.tests import stage  # needs Django

    stage.reset()

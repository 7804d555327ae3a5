"""Fixtures of all apps. The stores come from devstack/pytest_plugin.py."""

from __future__ import annotations

import pytest

from devstack import pytest_plugin


@pytest.fixture
def stores(running_stores: None) -> None:
    """Empty tables of a new generation, an empty Redis, and no memory of earlier tests."""
    from scores.tests import stage  # needs Django

    stage.reset()


@pytest.fixture
def dynamodb_pid(running_stores: None) -> int:
    """The store's process, to be frozen."""
    return pytest_plugin.part("dynamodb").pid

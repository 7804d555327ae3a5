"""Fixtures of the whole suite. The stores come from tools/testing/pytest_plugin.py."""

from __future__ import annotations

import pytest

from tools.testing import pytest_plugin

pytest_plugins = ["tools.testing.browser"]


@pytest.fixture
def stores(running_stores: None) -> None:
    """Empty tables of a new generation, an empty Redis, and no memory of earlier tests."""
    from tools.testing import stage  # needs Django

    stage.reset()


@pytest.fixture
def dynamodb_pid(running_stores: None) -> int:
    """The store's process, to be frozen."""
    return pytest_plugin.part("dynamodb").pid

"""The stage of the whole suite: the real stores, on free ports, started when the first test asks for them.

A plugin (`-p tools.testing.pytest_plugin`) and not a conftest, because pytest-django reads Django's settings
before any conftest, and the stores' addresses must be in the environment by then.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port
from tools.devstack.processes.postgresql import start_postgresql
from tools.devstack.processes.stores import start_dynamodb, start_valkey

DATA = tempfile.TemporaryDirectory(prefix="scoreboard-test-")
DYNAMODB_PORT, VALKEY_PORT = free_port(), free_port()
os.environ.pop("DATABASE_URL", None)
os.environ.update(
    DEBUG="true",
    DATA_DIR=DATA.name,
    DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{DYNAMODB_PORT}",
    REDIS_URL=f"redis://127.0.0.1:{VALKEY_PORT}/0",
    # What every process of the suite logs; read by the last test (scores/telemetry/tests/test_logs.py).
    LOG_FILE=str(Path(DATA.name, "suite.log")),
)

_running: dict[str, Part] = {}


@pytest.fixture(scope="session")
def running_stores() -> Iterator[None]:
    """DynamoDB Local and Valkey, in memory."""
    for part in (start_dynamodb(None, DYNAMODB_PORT), start_valkey(None, VALKEY_PORT)):
        _running[part.name] = part
    yield
    while _running:
        _running.popitem()[1].stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Part]:
    """A PostgreSQL without tables."""
    part = start_postgresql()
    yield part
    part.stop()


def part(name: str) -> Part:
    """The running store, to be frozen or killed by a test."""
    return _running[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at the logs of the whole suite comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)

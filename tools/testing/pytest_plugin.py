"""The stage of the whole suite: the real stores, on free ports, started when the first test asks for them.

A plugin (`-p tools.testing.pytest_plugin`) and not a conftest, because pytest-django reads Django's settings
before any conftest, and the stores' addresses must be in the environment by then. With pytest-xdist each
worker has stores and folders of its own; what concerns all of them is in SUITE, the controller's folder.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port
from tools.devstack.processes.postgresql import start_postgresql
from tools.devstack.processes.stores import start_dynamodb, start_valkey

DATA = tempfile.TemporaryDirectory(prefix="scoreboard-test-")
DYNAMODB_PORT, VALKEY_PORT = free_port(), free_port()
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
SUITE = Path(os.environ["SUITE_FOLDER"] if WORKER else DATA.name)
os.environ.pop("DATABASE_URL", None)
# Hundreds of processes are started: none should compile again what another has compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.update(
    DEBUG="true",
    DATA_DIR=DATA.name,
    DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{DYNAMODB_PORT}",
    REDIS_URL=f"redis://127.0.0.1:{VALKEY_PORT}/0",
    SUITE_FOLDER=str(SUITE),
    # What every process of the suite logs; read by the last test (scores/telemetry/tests/test_logs.py).
    LOG_FILE=str(SUITE / "suite.log"),
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--unit", action="store_true", help="only tests that need no store and take less than a second"
    )
    parser.addoption(
        "--record-durations", action="store_true", help="write tools/testing/durations.json from this run"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What measures comes after the rest, and what looks at the logs of the whole suite last."""
    if config.getoption("unit"):
        from tools.testing.schedule import is_unit_test

        chosen = [item for item in items if is_unit_test(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    items.sort(key=lambda item: [bool(item.get_closest_marker(name)) for name in ("last", "alone")])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    if WORKER == "gw0":
        from tools.testing.schedule import write_plan

        write_plan(session.items, SUITE / "plan.json")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> Any:
    from tools.testing.schedule import LongestFirst

    return LongestFirst(config, SUITE / "plan.json")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Note what took a second or longer, for the order of later runs."""
    if not config.getoption("record_durations"):
        return
    from tools.testing.schedule import DURATIONS

    taken: defaultdict[str, float] = defaultdict(float)
    for report in (each for found in terminalreporter.stats.values() for each in found):
        if isinstance(report, pytest.TestReport):
            taken[report.nodeid] += report.duration
    long = {nodeid: round(seconds, 1) for nodeid, seconds in sorted(taken.items()) if seconds >= 1}
    DURATIONS.write_text(json.dumps(long, indent=0) + "\n")

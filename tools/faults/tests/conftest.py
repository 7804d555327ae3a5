"""One stage for all tests of this folder: stores and server processes of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.faults.stage import Stage


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="scoreboard-faults-") as folder, Stage(Path(folder)) as stage:
        yield stage

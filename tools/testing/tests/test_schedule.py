"""The suite on several workers, tried with a small suite of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devstack.tests.stage import descendants, is_running, until
from tools.testing.processes import ROOT

CONFIGURATION = """
[pytest]
addopts = -p tools.testing.pytest_plugin -p no:django -p no:cacheprovider
markers =
    alone
    last
"""
BEGINNING = """
import os, time, pathlib, pytest

def note(text, seconds=0.0):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    began = time.monotonic()
    time.sleep(seconds)
    with pathlib.Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{text} {worker} {began} {time.monotonic()}\\n")
"""
SHARED = """
@pytest.fixture(scope="module")
def server():
    return None

@pytest.mark.parametrize("number", range(4))
def test_shared(server, number):
    note("shared", 0.05)
"""
SINGLE = """
@pytest.mark.parametrize("number", range(8))
def test_single(number):
    note("single", 0.1)

@pytest.mark.last
def test_last():
    note("last")
"""
ALONE = """
@pytest.mark.alone
@pytest.mark.parametrize("number", range(3))
def test_alone(number):
    note("alone", 0.1)
"""
SLOW = """
def test_slow():
    note("slow")
    time.sleep(60)

def test_slow_too():
    note("slow")
    time.sleep(60)
"""


class Notes:
    """A small suite, and what its tests have noted: (what, worker, begin, end)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text(CONFIGURATION)

    def add(self, name: str, text: str) -> None:
        (self.folder / f"test_{name}.py").write_text(BEGINNING + text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if "XDIST" not in name}
        env = inherited | {"NOTES": str(self.folder / "notes"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=env, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> str:
        with self.start(*arguments) as running:
            output, _ = running.communicate(timeout=60)
        assert running.returncode == 0, output
        return output

    def of(self, what: str) -> list[tuple[str, float, float]]:
        path = self.folder / "notes"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(worker, float(began), float(ended)) for name, worker, began, ended in lines if name == what]


@pytest.fixture
def notes(tmp_path):
    found = Notes(tmp_path)
    for name, text in {"alone": ALONE, "shared": SHARED, "single": SINGLE}.items():
        found.add(name, text)
    return found


def test_what_shares_a_fixture_stays_together_and_what_measures_runs_alone(notes):
    assert "16 passed" in notes.run("-n", "2")
    shared, single, alone = notes.of("shared"), notes.of("single"), notes.of("alone")
    assert len({worker for worker, _, _ in shared}) == 1
    assert {worker for worker, _, _ in single} == {"gw0", "gw1"}
    assert len({worker for worker, _, _ in alone}) == 1
    assert min(began for _, began, _ in alone) > max(ended for _, _, ended in shared + single)
    assert notes.of("last")[0][1] > max(ended for _, _, ended in alone)


def test_one_test_that_is_alone_is_run_by_one_of_many_workers(notes):
    assert "1 passed" in notes.run("-n", "3", "-k", "alone and 2")
    assert "1 passed" in notes.run("-n", "3", "-k", "last")


def test_without_workers_the_order_is_the_same(notes):
    assert "16 passed" in notes.run()
    assert min(began for _, began, _ in notes.of("alone")) > max(ended for *_, ended in notes.of("single"))
    assert notes.of("last")[0][1] > max(ended for _, _, ended in notes.of("alone"))


def test_ctrl_c_ends_every_process(notes):
    notes.add("slow", SLOW)
    with notes.start("-n", "2", "-k", "slow") as running:
        try:
            until(lambda: len(notes.of("slow")) == 2, 30)
            below = descendants(running.pid)
            running.send_signal(signal.SIGINT)
            output, _ = running.communicate(timeout=30)
        finally:
            running.kill()
    assert running.returncode == 2, output
    until(lambda: not any(map(is_running, below)), 10)

"""`make clean` in a throw-away checkout: what it removes, what it asks about, and when it refuses."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devstack.install.files import ROOT, mark_used, try_lock
from tools.devstack.tests.stage import clean_environment


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with an environment, data of both kinds, and downloads in a cache next to it."""
    shutil.copytree(ROOT / "tools", tmp_path / "checkout" / "tools")
    for made in ("checkout/.venv", "checkout/.cache/benchmarks", "checkout/.local/demo", "cache/java"):
        (tmp_path / made).mkdir(parents=True)
    return tmp_path / "checkout"


def clean(checkout: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    """`make clean` there, with `typed` on its terminal; without a terminal when that is empty."""
    env = clean_environment(SCOREBOARD_CACHE_DIR=str(checkout.parent / "cache"))
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, typed.encode())
        return subprocess.run(
            [sys.executable, "-m", "tools", "clean"], cwd=checkout, env=env, timeout=60,
            stdin=terminal if typed else subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
    finally:
        os.close(terminal)
        os.close(keyboard)


def test_data_and_downloads_are_kept_without_a_terminal_to_ask_on(checkout):
    answer = clean(checkout)
    assert answer.returncode == 0, answer.stderr
    assert "kept (no terminal to ask on): remove the scores" in answer.stderr
    assert not (checkout / ".venv").exists() and not (checkout / ".cache" / "benchmarks").exists()
    assert (checkout / ".local" / "demo").exists()
    assert (checkout.parent / "cache" / "java").exists()


@pytest.mark.parametrize(
    ("typed", "data_is_kept", "downloads_are_kept"),
    [("y\nn\n", False, True), ("n\nyes\n", True, False), ("\nwhat?\n", True, True), ("\x04\x04", True, True)],
    ids=["data", "downloads", "no answer is no", "the end of the input is no"],
)
def test_data_and_downloads_are_removed_when_the_answer_is_yes(
    checkout, typed, data_is_kept, downloads_are_kept
):
    answer = clean(checkout, typed)
    assert answer.returncode == 0, answer.stderr
    assert f"remove the scores and all other data in {checkout}/.local? [y/N]" in answer.stdout
    assert not (checkout / ".venv").exists()
    assert (checkout / ".local").exists() == data_is_kept
    assert (checkout.parent / "cache").exists() == downloads_are_kept


@pytest.mark.parametrize("used", [".local", ".local/demo"])
def test_data_in_use_is_not_removed(checkout, used):
    lock = try_lock(checkout / used / ".lock")
    assert lock
    answer = clean(checkout, "y\n")
    os.close(lock)
    assert answer.returncode == 1
    assert answer.stderr.endswith(f"error: {checkout / used} is in use by a running stack: stop it first\n")
    assert (checkout / ".local" / "demo").exists()


def test_nothing_is_removed_from_under_a_running_stack(checkout):
    mark = mark_used(checkout / ".venv")
    answer = clean(checkout, "y\ny\n")
    os.close(mark)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"error: a stack or a test is running from {checkout}/.venv: stop it first; nothing was removed\n"
    )
    assert (checkout / ".venv").exists()
    assert clean(checkout).returncode == 0
    assert not (checkout / ".venv").exists()

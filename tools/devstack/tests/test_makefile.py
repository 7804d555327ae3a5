"""The Makefile: that its verbs reach `python -m tools` with what was said on the command line."""

import shutil
import sys

import pytest

from tools.devstack.processes.ports import free_port
from tools.devstack.tests.stage import Running, call, token_for

PYTHON = f"PYTHON={sys.executable}"


@pytest.fixture(autouse=True)
def make():
    """Not skipped without make: nobody would notice that the main command is broken."""
    if not shutil.which("make"):
        pytest.fail("make is needed for the tests of the Makefile", pytrace=False)


def test_help_lists_every_verb():
    listed = call(["make"]).stdout
    verbs = ["run", "test", "check", "lint", "token", "verify", "bench-path", "clean"]
    assert all(f"  make {verb} " in listed for verb in verbs)


def test_token_wants_its_user_on_the_command_line():
    for command in (["make", "-s", "token"], ["make", "-s", "token", "USER="]):
        answer = call(command, USER="somebody")
        assert answer.returncode != 0
        assert answer.stderr.startswith("error: say whose token: make -s token USER=ann\n")
        assert answer.stdout == ""


def test_token_is_of_the_data_folder_that_was_named(tmp_path):
    answer = call(["make", "-s", "token", PYTHON, "USER=ann", f"DATA_DIR={tmp_path}"])
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1].count(".") == 2
    assert (tmp_path / "issuer").is_dir()


@pytest.mark.parametrize("line", ["downloading|dynamodb|valkey", "web .* answers"])
def test_who_kills_make_while_the_stack_starts_has_no_stack(tmp_path, line):
    port = free_port()
    with Running(["make", "run", PYTHON, f"PORT={port}", f"DATA_DIR={tmp_path}"], port) as running:
        running.wait_for(line)
        running.snapshot()
        running.process.kill()
        running.wait_until_nothing_is_left(20)
    assert not (tmp_path / "stack.env").exists()


def test_make_run_stops_with_make_even_when_make_is_killed(tmp_path):
    port = free_port()
    with Running(["make", "run", PYTHON, f"PORT={port}", f"DATA_DIR={tmp_path}"], port) as running:
        running.wait_ready()
        assert running.score("ann", 10, token_for("ann", tmp_path)) == 10
        running.snapshot()
        running.process.kill()
        running.wait_until_nothing_is_left(20)
    assert not (tmp_path / "stack.env").exists()

"""`make run` with everything real: supervision, and scores that survive whatever is killed."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tools.devstack.install.files import ROOT
from tools.devstack.processes.ports import free_port
from tools.devstack.tests.stage import (
    QUIET_SECONDS,
    Running,
    clean_environment,
    descendants,
    is_running,
    run_stack,
    stack_command,
    token_for,
    until,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One data folder for all tests of this file: each goes on with the scores of the one before."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def stack(data):
    with run_stack(data) as running:
        running.wait_ready()
        yield running


def kept_score(running: Running, data: Path) -> int:
    """Ann's score, asked for by raising it by one."""
    return running.score("ann", 1, token_for("ann", data)) - 1


def kill_and_wait_until_it_is_back(running: Running, part: str) -> None:
    time.sleep(QUIET_SECONDS)
    os.kill(running.pid_of(part), signal.SIGKILL)
    running.wait_for(rf"\| {part}\b.* died \(killed by SIGKILL\), starting it again in 0.5 s")
    running.wait_for(rf"\| {part}\b.* is back, process \d+")


def sign_in_as_printed(text: str) -> None:
    """As the moderator that the stack has made and told of."""
    found = re.search(r"moderate at (\S+) as (\w+), password (\S+) ", text)
    assert found, text
    with httpx.Client(base_url=found[1]) as client:
        client.get("login/")
        form = {"username": found[2], "password": found[3], "next": "/admin/"}
        token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        page = client.post("login/", data=form | token, follow_redirects=True)
        assert "The board now" in page.text and client.get("auth/user/").status_code == 403


def test_parts_are_named_found_and_revived_one_after_the_other(stack, data):
    text = "\n".join(stack.lines)
    for part in ("dynamodb", "valkey", "web"):
        assert re.search(rf"^stack +\| {part} \(port \d+\) answers, process \d+$", text, re.M), text
    assert re.search(r"^stack +\| ranking runs, process \d+$", text, re.M), text
    addresses = dict(line.split("=", 1) for line in (data / "stack.env").read_text().splitlines())
    stores = {"DYNAMODB_ENDPOINT_URL", "DYNAMODB_REGION", "DYNAMODB_ACCESS_KEY_ID", "REDIS_URL"}
    assert set(addresses) == stores | {"PORT", "NO_PROXY", "no_proxy"}

    sign_in_as_printed(text)
    assert (data / "moderator.txt").stat().st_mode & 0o777 == 0o600

    token = token_for("ann", data)
    assert stack.score("ann", 10, token) == 10
    for part in ("valkey", "web", "dynamodb", "ranking"):
        kill_and_wait_until_it_is_back(stack, part)
        until(lambda: stack.board() == {"ann": 10}, 10, lambda: str(stack.board()))
    assert stack.score("ann", 5, token) == 15

    second = subprocess.run(
        stack_command("--port", str(free_port()), "--data-dir", str(data), "run"),
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"is in use by another stack, process {stack.process.pid}: stop that one" in second.stderr

    stack.snapshot()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(20) == 0
    stops = [line.split()[-1] for line in stack.lines if "| stopping " in line and line.startswith("stack")]
    assert stops == ["web", "ranking", "valkey", "dynamodb"]
    assert not stack.left()
    assert not (data / "stack.env").exists()


def test_nothing_is_left_and_no_score_is_lost_when_the_supervisor_or_everything_is_killed(data):
    with run_stack(data) as first:
        first.wait_ready()
        assert kept_score(first, data) == 15
        time.sleep(QUIET_SECONDS)
        first.snapshot()
        first.process.kill()
        first.process.wait()
        with run_stack(data) as second:  # at once: it waits until the parts of the first are gone
            second.wait_ready()
            assert not first.left()
            assert kept_score(second, data) == 16
            time.sleep(QUIET_SECONDS)
            for pid in second.snapshot():
                os.kill(pid, signal.SIGKILL)
            second.wait_until_nothing_is_left()


def test_demo_moves_the_page_within_ten_seconds_with_data_of_its_own(data):
    with run_stack(data, "--demo") as running:
        running.wait_ready()
        ready = time.monotonic()
        until(lambda: len(running.board()) == 10, 10, lambda: str(running.board()))
        full = running.board()
        until(lambda: running.board() != full, ready + 10 - time.monotonic(), lambda: f"still {full}")
        assert "ann" not in full
        kill_and_wait_until_it_is_back(running, "demo")
        still = running.board()
        until(lambda: running.board() != still, 10, lambda: f"still {still}")
        assert (data / "demo" / "dynamodb").is_dir()
        running.snapshot()
        running.process.terminate()
        assert running.process.wait(20) == 0
        assert not running.left()


def test_closing_the_terminal_is_an_orderly_stop(tmp_path):
    port = free_port()
    ours, theirs = pty.openpty()
    command = stack_command("--port", str(port), "--data-dir", str(tmp_path), "run")
    shell = [sys.executable, "-c", "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"]
    stack = subprocess.Popen(
        [*shell, *command], cwd=ROOT, env=clean_environment(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while f"http://127.0.0.1:{port}\r\n".encode() not in shown:
        shown += os.read(ours, 65536)
    below = descendants(stack.pid)
    os.close(ours)
    assert stack.wait(20) == 0
    until(lambda: not any(map(is_running, below)), 5)
    assert not (tmp_path / "stack.env").exists()

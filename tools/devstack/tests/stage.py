"""Helpers of the stack's tests: a real `make run`, its output line by line, and the processes it started."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.devstack.install.files import ROOT
from tools.devstack.processes.guard import is_zombie
from tools.devstack.processes.ports import free_port

OUR_VARIABLES = (
    "PORT",
    "DATA_DIR",
    "DYNAMODB_ENDPOINT_URL",
    "REDIS_URL",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "MAKEFLAGS",
)
# DynamoDB Local, killed under load, may lose what it acknowledged just before; DynamoDB does not.
QUIET_SECONDS = 0.5
# A busy machine takes its time to start a stack; how fast one starts is measured elsewhere.
PATIENCE_SECONDS = 180


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment of a person's shell: ours without what the test run put there."""
    return {name: value for name, value in os.environ.items() if name not in OUR_VARIABLES} | changes


def stack_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tools", *arguments]


def call(command: Sequence[str], **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout to its end, as from a person's shell but without a terminal."""
    env = clean_environment(**changes)
    return subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def token_for(user: str, data: Path) -> str:
    """A token of the local issuer of that data folder."""
    answer = call(stack_command("--data-dir", str(data), "token", "--user", user))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()[-1]


class Running:
    """A stack that was started by a command; use as a context manager, which ends what is left."""

    def __init__(
        self, command: Sequence[str], port: int, *, cwd: Path = ROOT, env: dict[str, str] | None = None
    ) -> None:
        self.port = port
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        self._seen: set[int] = set()
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env or clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.snapshot()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        self._reader.join(10)

    def wait_for(self, pattern: str, timeout: float = PATIENCE_SECONDS) -> re.Match[str]:
        """The next line of output, not yet looked at, in which the pattern is found."""
        deadline = time.monotonic() + timeout
        while True:
            ended = not self._reader.is_alive()
            with contextlib.suppress(queue.Empty):
                if found := re.search(pattern, self._new.get(timeout=0.2)):
                    return found
                continue
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.lines))

    def wait_ready(self, timeout: float = PATIENCE_SECONDS) -> float:
        """Seconds from the start to the line that shows the address."""
        self.wait_for(rf"ready after .* http://127\.0\.0\.1:{self.port}$", timeout)
        return time.monotonic() - self.began

    def pid_of(self, part: str) -> int:
        """Process id of a part, from the last line that named it."""
        line = next(line for line in reversed(self.lines) if re.search(rf"\| {part}\b.* process \d+$", line))
        return int(line.split()[-1])

    def snapshot(self) -> set[int]:
        """All processes below ours now; `left` will look for them."""
        self._seen |= descendants(self.process.pid)
        return self._seen

    def left(self) -> set[int]:
        """Those of the snapshots that still run."""
        return {pid for pid in self._seen if is_running(pid)}

    def wait_until_nothing_is_left(self, timeout: float = 10) -> None:
        until(lambda: not self.left(), timeout, lambda: f"still running: {self.left()}")

    def score(self, user: str, increment: int, token: str) -> int:
        """One update over HTTP; the new score. A server that is away is asked again, with the same key."""
        body = json.dumps({"userId": user, "increment": increment}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        headers["Idempotency-Key"] = str(uuid.uuid4())
        deadline = time.monotonic() + 20
        while True:
            try:
                url = f"http://127.0.0.1:{self.port}/score/update"
                with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
                    return int(json.load(answer)["newScore"])
            except OSError as error:
                away = not isinstance(error, urllib.error.HTTPError) or error.code in (429, 503)
                if not away or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def board(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/score/top10", timeout=10) as answer:
            return {row["userId"]: row["score"] for row in json.load(answer)}

    def _read(self) -> None:
        with self.process.stdout or contextlib.nullcontext(()) as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))
                self._new.put(line.rstrip("\n"))


def run_stack(folder: Path, *arguments: str) -> Running:
    """`python -m tools run` on a free port."""
    port = free_port()
    return Running(stack_command("--port", str(port), "--data-dir", str(folder), "run", *arguments), port)


def until(condition: Callable[[], object], timeout: float, complaint: Callable[[], str] = lambda: "") -> None:
    """Wait for a condition; AssertionError with the complaint when it does not come true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not is_zombie(pid)


def descendants(pid: int) -> set[int]:
    """The process and all below it."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
    found = {pid}
    while grown := {child for child, parent in pairs if parent in found} - found:
        found |= grown
    return found

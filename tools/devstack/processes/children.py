"""Child processes that cannot outlive us: every one is registered with a guard before it runs.

Standard library only, because the bootstrap uses it before any package is installed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

# Not that of `.venv`, which may be replaced while we run.
BASE_PYTHON: str = getattr(sys, "_base_executable", None) or sys.executable
_GUARD = Path(__file__).with_name("guard.py")
# The child waits here until the guard knows it; if we die first, `read` fails and nothing runs.
_GATE = 'read -r go && exec "$@" </dev/null'


class Guard:
    """Our side of the guard process (see guard.py); one per process, started at first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: dict[int, float] = {}
        self.held_files: list[int] = []

    def add(self, pgid: int, grace: float) -> None:
        with self._lock:
            self._groups[pgid] = grace
            if not self._revived():
                self._tell(f"+ {pgid} {grace}\n")

    def remove(self, pgid: int) -> None:
        with self._lock:
            if self._groups.pop(pgid, None) is not None and not self._revived():
                self._tell(f"- {pgid}\n")

    def check(self) -> bool:
        """Start the guard again if somebody killed it; True when that was needed."""
        with self._lock:
            return bool(self._groups) and self._revived()

    def close(self) -> None:
        """Dismiss the guard; groups still registered are ended by it."""
        with self._lock:
            process, self._process = self._process, None
            self._groups.clear()
        if process and process.stdin:
            process.stdin.close()
            process.wait()

    def _tell(self, text: str) -> None:
        if self._process and self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(text.encode())

    def _revived(self) -> bool:
        if self._process and self._process.poll() is None:
            return False
        if self._process and self._process.stdin:
            self._process.stdin.close()
        self._process = subprocess.Popen(
            [BASE_PYTHON, "-I", "-S", str(_GUARD), str(os.getpid())],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=self.held_files,
        )
        for pgid, grace in self._groups.items():
            self._tell(f"+ {pgid} {grace}\n")
        return True


guard = Guard()
#: Set once we are about to end anyhow.
ending = threading.Event()


def stop_with(parent: int) -> None:
    """Send ourselves SIGTERM as soon as this process, our parent, is gone."""

    def watch() -> None:
        while not ending.wait(0.2):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, daemon=True).start()


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    orphan_grace: float = 0.0,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, output and errors in one pipe, no input.

    Its process group is ended by the guard when we are gone: at once, or with `orphan_grace`
    seconds between SIGTERM and SIGKILL. Call `release` when it has ended.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", _GATE, "gate", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    guard.add(process.pid, orphan_grace)
    gate, process.stdin = process.stdin, None
    if gate:
        with contextlib.suppress(BrokenPipeError), gate:
            gate.write(b"go\n")
    return process


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to everything `process` started; nothing happens when all of it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def release(process: subprocess.Popen[bytes]) -> None:
    """Sweep up what an ended process left in its group and take it off the guard's list."""
    signal_group(process, signal.SIGKILL)
    guard.remove(process.pid)


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    echo: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """Run `command` to its end; its exit code and everything it printed, each line also given to `echo`."""
    process = spawn(command, env=env, cwd=cwd)
    lines = []
    try:
        for line in output_lines(process):
            lines.append(line)
            if echo:
                echo(line)
        return process.wait(), "\n".join(lines)
    finally:
        signal_group(process, signal.SIGKILL)
        process.wait()
        release(process)


def output_lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The output of `process`, line by line, until it ends."""
    if process.stdout:
        with process.stdout as stream:
            for line in stream:
                yield line.decode(errors="replace").rstrip("\r\n")

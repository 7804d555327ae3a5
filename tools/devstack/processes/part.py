"""A part of the stack: one supervised process, its port and its readiness probe."""

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tools.devstack.errors import StackError
from tools.devstack.processes import children

POLL_SECONDS = 0.05


class Part:
    """One process that can be started again with the same command after it has died.

    `url` is the address clients use, `probe` tells whether it answers, `grace` is how long it may
    take to stop, `orphan_grace` the same when we were killed (0: killed at once), `sink` gets each
    line it prints. It ends with us, even when we are killed with SIGKILL.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int = 0,
        url: str = "",
        probe: Callable[[], bool] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 5.0,
        orphan_grace: float = 0.0,
        sink: Callable[[str], None] | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.port = port
        self.url = url
        self.last_lines: deque[str] = deque(maxlen=30)
        self._probe = probe
        self._env = env
        self._cwd = cwd
        self._grace = grace
        self._orphan_grace = orphan_grace
        self._sink = sink
        self._on_stop = on_stop
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Process id, also the id of its process group; StackError before the first start."""
        if not self._process:
            raise StackError(f"{self.name} was never started")
        return self._process.pid

    @property
    def title(self) -> str:
        """Name and port, for messages."""
        return f"{self.name} (port {self.port})" if self.port else self.name

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; does not wait until it answers."""
        if self.running:
            return
        grace = self._orphan_grace
        self._process = children.spawn(self.command, env=self._env, cwd=self._cwd, orphan_grace=grace)
        self._pump = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._pump.start()

    def ready(self) -> bool:
        """Whether the process runs and answers its probe now."""
        return self.running and (self._probe is None or self._probe()) and self.running

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when the part answers; StackError when it died or took too long."""
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not self.running:
                self.reap()
                raise StackError(f"{self.title} did not start: {self.death()}")
            if time.monotonic() > deadline:
                raise StackError(f"{self.title} does not answer after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Started and answering in this block, stopped at its end; StackError when it does not start."""
        self.start()
        try:
            self.wait_ready()
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """End the process in order: SIGTERM, its grace, then SIGKILL to all that it started."""
        if self._process and self.running:
            children.signal_group(self._process, signal.SIGTERM)
            try:
                self._process.wait(self._grace)
            except subprocess.TimeoutExpired:
                children.signal_group(self._process, signal.SIGKILL)
        self.reap()
        if self._on_stop:
            self._on_stop()

    def kill(self) -> None:
        """SIGKILL the process and all that it started. `start` brings it back with its data."""
        if self._process:
            children.signal_group(self._process, signal.SIGKILL)
        self.reap()

    def reap(self) -> None:
        """Clear away an ended process and its output, waiting for it if need be."""
        if not self._process:
            return
        self._process.wait()
        children.release(self._process)
        if self._pump:
            self._pump.join(2)

    def death(self) -> str:
        """How the process ended, for a message: the signal, or the exit code and its last line."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "still running"
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        words = next((line.strip() for line in reversed(self.last_lines) if line.strip()), "")
        return f"exit code {code}" + (f" ({words})" if words else "")

    def _read(self, source: subprocess.Popen[bytes]) -> None:
        for line in children.output_lines(source):
            self.last_lines.append(line)
            if self._sink:
                self._sink(line)

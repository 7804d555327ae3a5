"""Real server processes on the real stores, and a proxy that cuts a store's replies."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def answers(path: str, port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def server(
    command: tuple[str, ...] = ("manage.py", "serve", "--port"),
    probe: str = "/readyz",
    sink: Callable[[str], None] | None = None,
    **environment: str,
) -> Iterator[Part]:
    """A server process that answers `probe`; `command` runs with Python and ends where the port belongs.

    `sink` gets each line that it writes.
    """
    port = free_port()
    part = Part(
        "web",
        [sys.executable, *command, str(port)],
        port=port,
        url=f"http://127.0.0.1:{port}",
        probe=partial(answers, probe, port),
        env=dict(os.environ) | {"PORT": str(port)} | environment,
        cwd=ROOT,
        sink=sink,
    )
    with part.serving():
        yield part


def line_with(lines: list[str], *parts: str, seconds: float = 5.0) -> str:
    """The first line of a process with all these parts in it; waits for it. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while True:
        for line in list(lines):
            if all(part in line for part in parts):
                return line
        if time.monotonic() > deadline:
            raise AssertionError(f"no line with {parts} in:\n" + "\n".join(lines))
        time.sleep(0.01)


def post(
    part: Part, token: str, user_id: str, increment: int, key: str, timeout: float = 10
) -> httpx.Response:
    """One update."""
    return httpx.post(
        f"{part.url}/score/update",
        json={"userId": user_id, "increment": increment},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        timeout=timeout,
    )


def run_moderate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py moderate` in a process of its own."""
    command = [sys.executable, "manage.py", "moderate", *arguments, "--reason=test"]
    return subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


class CuttingProxy:
    """A TCP proxy that passes requests on and, while `cutting`, drops the connection at the reply."""

    def __init__(self, target_port: int) -> None:
        self.cutting = False
        self.cuts = 0
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            store = socket.create_connection(("127.0.0.1", self._target_port))
            threading.Thread(target=self._pass, args=(client, store, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(store, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, reply: bool) -> None:
        try:
            while data := source.recv(65536):
                if reply and self.cutting:
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

"""Viewers: the page's own feed in Node.js, and two kinds that open a socket and never read it.

A viewer whose network is cut is a Page behind a Proxy of its own.
"""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from tools.devstack.install.dev_programs import find_node
from tools.devstack.processes.part import Part
from tools.faults.checks.truth import Rows

_HANDSHAKE = (
    "GET /ws/scoreboard HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: Boards that are remembered of each viewer.
REMEMBERED = 20_000


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """A board as it came to a viewer, at `at` (time.monotonic, s); `stale`: it says so itself."""

    at: float
    revision: int
    rows: Rows
    stale: bool = False


class Page:
    """The contents of one page, as its feed reports them. Times are of time.monotonic (s).

    `links` is what it said about itself: (time, link, fresh). `received` is what came over its sockets:
    (number of the socket, revision); `closed` how these ended: (time, close code). `lags_s` is how old
    boards were when they came, by the revision, which is a time in µs.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.boards: deque[Seen] = deque(maxlen=REMEMBERED)
        self.links: deque[tuple[float, str, bool]] = deque(maxlen=REMEMBERED)
        self.received: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self.closed: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self.lags_s: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def link(self) -> str:
        return self.links[-1][1] if self.links else "connecting"

    @property
    def rows(self) -> Rows | None:
        return self.boards[-1].rows if self.boards else None

    def forget(self) -> None:
        """Only the newest board is remembered from now on."""
        while len(self.boards) > 1:
            self.boards.popleft()
        for each in (self.received, self.closed, self.lags_s):
            each.clear()

    def hear(self, message: dict[str, Any]) -> None:
        now = time.monotonic()
        if "board" in message:
            board = message["board"]
            rows = tuple((u, n, s) for u, n, s in board["rows"])
            self.boards.append(Seen(now, board["revision"], rows, board["stale"]))
        elif "revision" in message:
            self.received.append((message["socket"], message["revision"]))
            self.lags_s.append(time.time() - message["revision"] / 1e6)
        elif "closed" in message:
            self.closed.append((now, message["closed"]))
        else:
            self.links.append((now, message["link"], message["fresh"]))


class Pages:
    """Pages in one Node.js process, one for each origin (`http://127.0.0.1:…`)."""

    def __init__(self, origins: list[str], names: list[str] | None = None) -> None:
        self.pages = [Page(name) for name in names or [f"page {n}" for n in range(len(origins))]]
        script = str(Path(__file__).with_name("page.mjs"))
        self._part = Part("pages", [*_node_with_sockets(), script, *origins], sink=self._hear)

    def start(self) -> Pages:
        self._part.start()
        return self

    def stop(self) -> None:
        self._part.kill()

    def _hear(self, line: str) -> None:
        if line.startswith("{"):
            message = json.loads(line)
            self.pages[message["viewer"]].hear(message)


def _node_with_sockets() -> list[str]:
    """Node.js with a global WebSocket: behind a flag before version 22."""
    node = find_node()
    version = subprocess.run([*node, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)", version)
    return [*node, "--experimental-websocket", "--no-warnings"] if found and int(found[1]) < 22 else node


class Idlers:
    """Sockets that are opened and never read. The chatty ones send a ping every second."""

    def __init__(self, ports: list[int], *, silent: int, chatty: int) -> None:
        self._sockets: list[socket.socket] = []
        self._stopping = threading.Event()
        for number in range(silent + chatty):
            opened = socket.socket()
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            opened.settimeout(10)
            opened.connect(("127.0.0.1", ports[number % len(ports)]))
            opened.sendall(_HANDSHAKE.encode())
            if not opened.recv(12).endswith(b" 101"):
                raise RuntimeError(f"socket {number + 1} was not opened")
            self._sockets.append(opened)
        self._chatty = self._sockets[:chatty]
        self._thread = threading.Thread(target=self._chat, daemon=True)
        self._thread.start()

    def _chat(self) -> None:
        ping = b"\x89\x80\x00\x00\x00\x00"
        for each in self._chatty:
            each.setblocking(False)
        while not self._stopping.wait(1.0):
            for each in self._chatty:
                try:
                    each.send(ping)
                except OSError:
                    continue

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        for each in self._sockets:
            each.close()

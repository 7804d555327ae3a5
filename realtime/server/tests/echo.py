"""Our own server with a socket that echoes, at every path: `... PORT`. For judges of the protocol."""

from __future__ import annotations

import sys
from typing import Any

import django

django.setup()

from realtime import frames  # noqa: E402
from realtime.server import requests, server  # noqa: E402
from realtime.server.websocket import BoardSocket  # noqa: E402
from realtime.sockets import viewer_limits  # noqa: E402
from realtime.sockets.admission import Admission  # noqa: E402
from scoreboard_site.asgi import application  # noqa: E402


class NoBoards:
    """In place of the hub: nothing is sent but the echo."""

    def add(self, viewer: Any) -> None: ...

    def discard(self, viewer: Any) -> None: ...

    def write_through(self, viewer: Any, to: Any) -> None: ...


class EchoSocket(BoardSocket):
    _opcode = frames.TEXT

    def __init__(self, hub: Any, on_lost: Any) -> None:
        super().__init__(NoBoards(), on_lost)  # type: ignore[arg-type]

    def _measure(self, frame: frames.Received) -> None:
        message = (self._message or b"") + frame.payload
        super()._measure(frame)
        if frame.opcode != frames.CONTINUATION:
            self._opcode = frame.opcode
        if frame.final:
            self._write(frames.frame(self._opcode, message))


if __name__ == "__main__":
    viewer_limits.RATE_MAX = 100_000
    for name, value in (("admit", lambda *_: Admission()), ("BoardSocket", EchoSocket)):
        setattr(requests, name, value)
    server.run(application, application.live, server.Options(port=int(sys.argv[1])))

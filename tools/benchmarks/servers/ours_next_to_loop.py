"""Our server against a bare loop over its own sockets, in turns, in one process: `... PORT`.

The finest comparison there is: the same sockets, the same memory, the same moment. A line on standard
input names the number of turns; the answer has processor time (µs) per delivery, bare and ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable

os.environ["DJANGO_SETTINGS_MODULE"] = "scoreboard_site.settings"

from daphne.server import twisted_loop

from realtime.frames import text_frame
from realtime.server import registry, server
from realtime.server.websocket import BoardSocket
from scoreboard_site.asgi import application
from tools.benchmarks.servers import ours

from tools.benchmarks.servers.driver import board_text  # isort: skip

BOARDS_A_TURN = 5
_open: dict[BoardSocket, None] = {}


class Watched(registry.Registry):
    """Knows the sockets, so that a bare loop can have them."""

    def add(self, board_socket: BoardSocket, address: str) -> None:
        super().add(board_socket, address)
        _open[board_socket] = None


async def bare(sockets: list[socket.socket]) -> None:
    wire = text_frame(board_text())
    for each in sockets:
        try:
            each.send(wire)
        except BlockingIOError:
            pass


async def cost(work: Callable[[], Awaitable[None]], sockets: int) -> float:
    began = time.thread_time()
    for _ in range(BOARDS_A_TURN):
        await work()
    used = time.thread_time() - began
    await asyncio.sleep(0.15)  # for the client to keep up
    return used / BOARDS_A_TURN / sockets * 1e6


async def main() -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
    while line := await lines.get():
        sockets = [each.transport.getHandle() for each in _open]
        results = []
        for turn in range(int(line)):
            works = [lambda: bare(sockets), ours.publish]  # noqa: B023
            order = (0, 1) if turn % 2 else (1, 0)
            pair = [0.0, 0.0]
            for place in order:
                pair[place] = await cost(works[place], len(sockets))
            results.append(pair)
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    setattr(server, "Registry", Watched)  # noqa: B010 - mypy
    application.live.hub.source = lambda seen: ours._board
    asyncio.set_event_loop(twisted_loop)
    task = twisted_loop.create_task(main())
    server.run(application, application.live, server.Options(port=int(sys.argv[1])))

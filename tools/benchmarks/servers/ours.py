"""Our server, and with `plain` the same application under plain daphne: `... PORT [plain]`."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "scoreboard_site.settings"

from daphne.server import Server, twisted_loop

from scoreboard_site.asgi import application
from tools.benchmarks.servers.driver import ROWS, drive, now_us

from realtime.server import server  # isort: skip
from scores.rules.boards import Board, Row

_rows = tuple(Row(r["rank"], r["userId"], r["name"], r["score"]) for r in ROWS)
_board = Board(_rows, now_us(), now_us() // 1000)


async def publish() -> None:
    global _board
    now = now_us()
    _board = dataclasses.replace(_board, revision=now, as_of=now // 1000)
    await application.live.hub.show(_board)


def main(port: int, plain: bool) -> None:
    application.live.hub.source = lambda seen: _board
    asyncio.set_event_loop(twisted_loop)
    task = twisted_loop.create_task(drive(publish))
    if plain:
        Server(application, endpoints=[f"tcp:{port}:interface=127.0.0.1:backlog=4096"]).run()
    else:
        server.run(application, application.live, server.Options(port=port))
    task.cancel()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] == ["plain"])

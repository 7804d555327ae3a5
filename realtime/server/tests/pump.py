"""The real server with boards from nowhere, one after the other: `... PORT`, or an endpoint in its place.

`--daphne` runs plain daphne instead. Environment: PUMP_ROWS of a board, PUMP_INTERVAL_S between boards,
PUMP_BEHIND_S how long a viewer may be behind, PUMP_PING_S how often it is pinged, PUMP_PONG_S how long it may
take to answer.
"""

from __future__ import annotations

import os
import sys
import time

import django
from daphne.cli import CommandLineInterface

django.setup()

from realtime.hub import hub  # noqa: E402
from realtime.server import server, websocket  # noqa: E402
from realtime.sockets import viewer_limits  # noqa: E402
from scoreboard_site.asgi import application  # noqa: E402
from scores.rules.boards import Board, Row  # noqa: E402

ROWS = int(os.environ.get("PUMP_ROWS", "10"))
INTERVAL_S = float(os.environ.get("PUMP_INTERVAL_S", "0.005"))


def next_board(seen: int) -> Board:
    """About 2 KiB for 10 rows, different from the one before."""
    time.sleep(INTERVAL_S)
    application.live.hub.wake()
    now = max(seen + 1, time.time_ns() // 1000)
    rows = (Row(rank, f"USER-{rank:0100d}", "N" * 60, now - rank) for rank in range(1, ROWS + 1))
    return Board(tuple(rows), now, now // 1000)


if __name__ == "__main__":
    hub.MIN_INTERVAL_S = 0.0
    for module, name in ((viewer_limits, "BEHIND_S"), (websocket, "PING_S"), (websocket, "PONG_S")):
        if f"PUMP_{name}" in os.environ:
            setattr(module, name, float(os.environ[f"PUMP_{name}"]))
    application.live.hub.source = next_board
    where = sys.argv[-1]
    if "--daphne" in sys.argv:
        CommandLineInterface().run(["-p", where, "scoreboard_site.asgi:application"])
    elif where.isdigit():
        server.run(application, application.live, server.Options(port=int(where)))
    else:
        server.run(application, application.live, server.Options(endpoint=where))

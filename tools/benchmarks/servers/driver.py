"""How every Python server of the benchmark is driven: one command per line on standard input.

`run SECONDS INTERVAL_MS` publishes boards for that long, one each interval (0: back to back), and prints
`done` with their number. A board is 600 bytes or so of JSON whose revision is the moment it was made.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

ROWS: list[dict[str, Any]] = [
    {"rank": n, "userId": f"USER-{n:06d}", "name": None, "score": 987_654_321 - n} for n in range(1, 11)
]


def now_us() -> int:
    return time.time_ns() // 1000


def make_board() -> dict[str, Any]:
    return {"type": "board", "revision": now_us(), "asOf": "2026-01-01T00:00:00.000Z", "top10": ROWS}


def board_text() -> str:
    return json.dumps(make_board(), separators=(",", ":"))


async def drive(publish: Callable[[], Awaitable[None]]) -> None:
    """Obey standard input for ever; `publish` makes a board and sends it to everybody."""
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin, lambda: commands.put_nowait(sys.stdin.readline()))
    while True:
        line = (await commands.get()).split()
        if not line:
            loop.remove_reader(sys.stdin)
            return
        await _run(publish, float(line[1]), float(line[2]) / 1000)


async def _run(publish: Callable[[], Awaitable[None]], seconds: float, interval: float) -> None:
    loop = asyncio.get_running_loop()
    began, boards = loop.time(), 0
    while loop.time() - began < seconds:
        await publish()
        boards += 1
        await asyncio.sleep(began + boards * interval - loop.time() if interval else 0)
    print(f"done {boards}", flush=True)

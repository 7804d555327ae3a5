"""Open pages that remember when they showed which score of the leader."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

from websockets.exceptions import WebSocketException

from tools.research.rivals.contenders import Contender, Viewer

WATCHERS = 20
LEADER = "leader"


class Watcher:
    """A page that connects again half a second after it has lost its socket."""

    def __init__(self) -> None:
        self.scores: list[int] = []
        self._leader: list[tuple[float, int]] = []  # (when, score)

    async def watch(self, contender: Contender, port: int) -> None:
        while True:
            viewer = Viewer(contender, port)
            try:
                await viewer.open()
                while True:
                    self._see((await viewer.board())["top10"])
            except (OSError, WebSocketException):
                await asyncio.sleep(0.5)
            finally:
                await viewer.close()

    def _see(self, rows: list[dict[str, object]]) -> None:
        self.scores = [int(str(row["score"])) for row in rows]
        leader = max((int(str(row["score"])) for row in rows if row["userId"] == LEADER), default=0)
        self._leader.append((time.monotonic(), leader))

    def latest(self, answered: list[tuple[float, int]]) -> float:
        """The longest time (s) from an answer to its score, or a higher one, on this page; inf: never."""
        longest, seen = 0.0, iter(self._leader)
        when, score = next(seen, (float("inf"), 0))
        for at, wanted in answered:
            while score < wanted:
                when, score = next(seen, (float("inf"), wanted))
            longest = max(longest, when - at)
        return longest


@contextlib.contextmanager
def watching(contender: Contender, port: int) -> Iterator[list[Watcher]]:
    """Pages in a thread of their own."""
    watchers = [Watcher() for _ in range(WATCHERS)]
    over = threading.Event()

    async def watch_all() -> None:
        tasks = [asyncio.create_task(watcher.watch(contender, port)) for watcher in watchers]
        await asyncio.to_thread(over.wait)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(watch_all()))
    thread.start()
    try:
        yield watchers
    finally:
        over.set()
        thread.join()

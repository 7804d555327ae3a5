"""One hub per process: reads the newest board, encodes it once, offers it to every open socket.

A board is always whole and always the newest; there is no queue. Pokes from the channel layer say when
to read. A poll every second makes up for lost pokes, and reads the index while Redis is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from channels.layers import get_channel_layer

from realtime.events import GROUP
from realtime.hub.audience import Audience, DirectViewer, Frame, Viewer
from realtime.vital import VitalTasks
from scores.board.merging import raise_revision
from scores.board.reading import get_board
from scores.board.scoreboard import Scoreboard
from scores.rules.boards import Board
from scores.rules.errors import ScoreboardError
from scores.telemetry import metrics

logger = logging.getLogger(__name__)

#: Boards of one process are at least this far apart (s).
MIN_INTERVAL_S = 0.05
#: The board is read at least this often (s) while somebody is looking.
POLL_S = 1.0
#: The same while Redis is away: no poke can come, and a ban must be seen within a second.
POLL_AWAY_S = 0.4
ALIVE_S = 15.0
#: A board read less than this long ago (s) is good enough for a new viewer; also when news of a ban got lost,
#: a banned player is on no board that is sent a second later.
FRESH_S = 0.9


class Hub:
    """Holds the viewers of one process. All methods run on its event loop.

    `source` reads the board, in a thread, given the revision that viewers have seen. `vital` watches the
    hub's tasks.
    """

    def __init__(self, source: Callable[[int], Board], vital: VitalTasks) -> None:
        self.source = source
        self._vital = vital
        self._audience = Audience()
        # Viewers that connected while there was no fresh board.
        self._newcomers: set[Viewer] = set()
        self._board: Board | None = None
        self._frame: Frame | None = None
        self._read_at = float("-inf")
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hub")

    def start(self) -> None:
        """Begin, on the running event loop."""
        for work in (self._pump(), self._listen(), self._show_life()):
            self._tasks.append(self._vital.watch(asyncio.get_running_loop().create_task(work)))

    async def stop(self) -> None:
        """End the hub's tasks. Viewers stay as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._pool.shutdown(wait=False)

    @property
    def viewers(self) -> int:
        return len(self._audience)

    def add(self, viewer: Viewer) -> None:
        """Subscribe a viewer and offer it the current board: at once, or when it has been read."""
        self._audience.add(viewer)
        if self._frame is not None and asyncio.get_running_loop().time() - self._read_at <= self._fresh_s():
            viewer.offer(self._frame)
        else:
            self._newcomers.add(viewer)
            self.wake()

    def write_through(self, viewer: DirectViewer, to: socket.socket | None) -> None:
        """Write to this viewer's socket from now on; None: offer it what there is."""
        self._audience.write_through(viewer, to)

    def discard(self, viewer: Viewer) -> None:
        self._audience.discard(viewer)
        self._newcomers.discard(viewer)

    def _away(self) -> bool:
        return self._board is not None and self._board.from_index

    def _fresh_s(self) -> float:
        return POLL_AWAY_S if self._away() else FRESH_S

    def wake(self) -> None:
        """Read the board now, or as soon as MIN_INTERVAL_S allows."""
        self._wake.set()

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(POLL_AWAY_S if self._away() else POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._audience:
                began = loop.time()
                board = await self._read()
                if board is not None and await self.show(board):
                    metrics.record(metrics.FAN_OUT_TIME, (loop.time() - began) * 1000)
                await asyncio.sleep(began + MIN_INTERVAL_S - loop.time())

    async def _read(self) -> Board | None:
        loop = asyncio.get_running_loop()
        seen = -1 if self._board is None else self._board.revision
        try:
            board = await loop.run_in_executor(self._pool, self.source, seen)
        except ScoreboardError as error:
            logger.warning("no board: %s", error)
            return None
        except Exception:
            logger.exception("no board")
            return None
        self._read_at = loop.time()
        return board

    async def show(self, board: Board) -> bool:
        """Make this the current board; offer it to all viewers if it is new (True), else to newcomers."""
        previous = self._board
        changed = previous is None or board.rows != previous.rows or board.revision > previous.revision
        if previous is not None:
            # With no visible change, only the time and the `stale` flag move on.
            board = dataclasses.replace(board, revision=max(board.revision, previous.revision + changed))
        self._board = board
        self._frame = frame = Frame(board.revision, _encode({"type": "board"} | board.to_dict()))
        newcomers, self._newcomers = self._newcomers, set()
        if changed:
            await self._audience.reach(frame, lambda viewer, frame: viewer.offer(frame))
        else:
            for viewer in newcomers:
                viewer.offer(frame)
        return changed

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_S)
            if self._board is None:
                continue
            board = self._board
            text = _encode({"type": "alive", "revision": board.revision, "asOf": board.as_of_text})
            frame = Frame(board.revision, text)
            await self._audience.reach(frame, lambda viewer, frame: viewer.ping(frame))

    async def _listen(self) -> None:
        while True:
            layer = get_channel_layer()
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                while True:
                    await layer.receive(channel)
                    self.wake()
            except Exception as error:  # the layer raises whatever its transport raises
                logger.warning("cannot listen for board changes, polling: %s", type(error).__name__)
                with contextlib.suppress(Exception):
                    await layer.flush()  # else it keeps the channel, and all that comes in on it
            await asyncio.sleep(POLL_S)


def read_board(scoreboard: Scoreboard, seen: int) -> Board:
    """The board. If its revision is behind what viewers have seen (a failover), lift it first."""
    board = get_board(scoreboard)
    if board.revision < seen and not board.stale and not board.from_index:
        raise_revision(scoreboard, seen=seen)
        board = get_board(scoreboard)
    return board


def _encode(message: dict[str, object]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))

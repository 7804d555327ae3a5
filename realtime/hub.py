"""One hub per process: reads the newest board, encodes it once, offers it to every open socket.

A board is always whole and always the newest; there is no queue. Pokes from the channel layer say when
to read; a poll each second covers those that were lost, and reads the index while Redis is away.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from channels.layers import get_channel_layer

from realtime.events import GROUP
from scores import merging, services
from scores.errors import ScoreboardError
from scores.scoring import Board

logger = logging.getLogger(__name__)

#: Boards of one process are at least this far apart (s).
MIN_INTERVAL_S = 0.05
#: The board is read at least this often (s) while somebody is looking.
POLL_S = 1.0
ALIVE_S = 15.0
#: A board read less than this long ago (s) is good enough for a new viewer.
FRESH_S = 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One message to all viewers, encoded. `revision` is the board's."""

    revision: int
    text: str


class Viewer(Protocol):
    """An open socket, as the hub sees it. Neither method may block or raise."""

    def offer(self, frame: Frame) -> None:
        """Send this board, or keep it as the one to send next, in place of an older one."""

    def ping(self, frame: Frame) -> None:
        """Send this sign of life, unless a board is waiting to be sent."""


class Hub:
    """Holds the viewers of one process. All methods run on its event loop."""

    def __init__(self) -> None:
        self._viewers: set[Viewer] = set()
        self._board: Board | None = None
        self._frame: Frame | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hub")

    def start(self) -> None:
        """Begin, on the running event loop."""
        for work in (self._pump(), self._listen(), self._show_life()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def stop(self) -> None:
        """End the hub's tasks. Viewers stay as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._pool.shutdown(wait=False)

    async def add(self, viewer: Viewer) -> None:
        """Subscribe a viewer and offer it the current board, in one step of the loop: no gap, no double."""
        if asyncio.get_running_loop().time() - self._read_at > FRESH_S:
            await self._refresh()
        self._viewers.add(viewer)
        if self._frame is not None:
            viewer.offer(self._frame)

    def discard(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    @property
    def viewers(self) -> frozenset[Viewer]:
        return frozenset(self._viewers)

    def wake(self) -> None:
        """Read the board now, or as soon as MIN_INTERVAL_S allows."""
        self._wake.set()

    async def _pump(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._viewers:
                await self._refresh()
                await asyncio.sleep(MIN_INTERVAL_S)

    async def _refresh(self) -> None:
        # Single flight: whoever needs a board while one is being read waits for that one.
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())
            self._reading.add_done_callback(self._read_done)
        await asyncio.shield(self._reading)

    def _read_done(self, task: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        seen = -1 if self._board is None else self._board.revision
        try:
            board = await loop.run_in_executor(self._pool, _read_board, seen)
        except ScoreboardError as error:
            logger.warning("no board: %s", error)
            return
        except Exception:
            logger.exception("no board")
            return
        self._read_at = loop.time()
        self._show(board)

    def _show(self, board: Board) -> None:
        previous = self._board
        if previous is not None and board.rows == previous.rows and board.revision <= previous.revision:
            # Nothing new to see; only the time (and the doubt) moves on.
            board = dataclasses.replace(board, revision=previous.revision)
        elif previous is not None:
            board = dataclasses.replace(board, revision=max(board.revision, previous.revision + 1))
        self._board = board
        self._frame = Frame(board.revision, _encode({"type": "board"} | board.to_dict()))
        if previous is None or board.revision > previous.revision:
            for viewer in self._viewers:
                viewer.offer(self._frame)

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_S)
            if self._board is not None:
                board = self._board
                text = _encode({"type": "alive", "revision": board.revision, "asOf": board.as_of_text})
                frame = Frame(board.revision, text)
                for viewer in self._viewers:
                    viewer.ping(frame)

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
            await asyncio.sleep(POLL_S)


def _read_board(seen: int) -> Board:
    """The board; if its revision is behind what viewers have seen (a failover), after lifting it."""
    board = services.get_board()
    if board.revision < seen and not board.stale and not board.from_index:
        merging.raise_revision(seen=seen)
        board = services.get_board()
    return board


def _encode(message: dict[str, object]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


hub = Hub()

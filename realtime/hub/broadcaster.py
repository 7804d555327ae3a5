"""Announces board changes: tells the hub of every process to read the board.

A poke carries no board and may be lost: hubs poll as well.
"""

from __future__ import annotations

import asyncio
import logging

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from realtime.events import BOARD_UPDATED, GROUP

logger = logging.getLogger(__name__)


class Broadcaster:
    """Publishes to the channel layer.

    A server process publishes from its event loop (`use_loop`), because publishing from worker threads opens
    a connection in each. Other processes publish in the calling thread.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._newest = 0
        self._sending: asyncio.Task[None] | None = None

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish from `loop` from now on."""
        self._loop = loop

    def board_changed(self, sender: object, revision: int, **kwargs: object) -> None:
        """Poke all hubs; a receiver of scores.board.scoreboard.board_changed.

        Returns at once in a server process. Logs when the channel layer fails, and raises nothing.
        """
        if self._loop is not None and self._loop.is_running():
            try:
                self._loop.call_soon_threadsafe(self._enqueue, revision)
            except RuntimeError:
                logger.info("revision %d is not announced: the event loop has ended", revision)
        else:
            async_to_sync(self.publish)(revision)

    def _enqueue(self, revision: int) -> None:
        # One publish at a time, always of the newest: tasks do not pile up while Redis is slow.
        self._newest = max(self._newest, revision)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._publish_newest())

    async def _publish_newest(self) -> None:
        sent = 0
        while sent < self._newest:
            sent = self._newest
            await self.publish(sent)

    async def publish(self, revision: int) -> None:
        try:
            await get_channel_layer().group_send(GROUP, {"type": BOARD_UPDATED, "revision": revision})
        except Exception as error:  # the layer raises whatever its transport raises
            logger.warning("could not announce revision %d: %s", revision, type(error).__name__)

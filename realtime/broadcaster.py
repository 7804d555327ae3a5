"""The outlet for board changes: tells the hub of every process to read the board.

A poke carries no board and may be lost: hubs poll as well. In a server process all pokes go out from
the event loop (`use_loop`), because publishing from pool threads opens a connection for each.
"""

from __future__ import annotations

import asyncio
import logging

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from realtime.events import BOARD_UPDATED, GROUP

logger = logging.getLogger(__name__)

_loop: asyncio.AbstractEventLoop | None = None
_newest = 0
_sending: asyncio.Task[None] | None = None


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Publish from `loop` from now on."""
    global _loop
    _loop = loop


def board_changed(revision: int) -> None:
    """Poke all hubs. Returns at once in a server process; never raises for Redis' sake."""
    if _loop is not None and _loop.is_running():
        _loop.call_soon_threadsafe(_enqueue, revision)
    else:
        async_to_sync(_publish)(revision)


def _enqueue(revision: int) -> None:
    # One publish at a time, always of the newest: a slow Redis cannot pile up tasks.
    global _newest, _sending
    _newest = max(_newest, revision)
    if _sending is None or _sending.done():
        _sending = asyncio.ensure_future(_publish_newest())


async def _publish_newest() -> None:
    sent = 0
    while sent < _newest:
        sent = _newest
        await _publish(sent)


async def _publish(revision: int) -> None:
    try:
        await get_channel_layer().group_send(GROUP, {"type": BOARD_UPDATED, "revision": revision})
    except Exception as error:  # the layer raises whatever its transport raises
        logger.warning("could not announce revision %d: %s", revision, type(error).__name__)

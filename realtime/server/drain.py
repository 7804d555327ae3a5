"""The orderly end of a server process, begun by SIGTERM or SIGINT.

The server accepts no new connections. It answers the requests in flight and closes each connection after
its answer. It closes the sockets with 1012, spread over a second, so that their viewers do not all come back
in the same moment. A second signal ends the process at once, and so does the end of the grace period;
nothing that was acknowledged is lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from twisted.internet.defer import maybeDeferred

from realtime.events import SERVICE_RESTART
from realtime.process import LiveProcess
from realtime.server.connections import Channel
from realtime.server.registry import Registry

logger = logging.getLogger(__name__)

#: Closing the sockets is spread over this time (s).
SPREAD_S = 1.0
#: A client that has connected, or begun to send, has this long (s) for the rest of its request.
BEGIN_S = 0.5
_STEPS = 50
_POLL_S = 0.02


class Drain:
    """Ends a daphne server within `grace_s`: first its ports, then its sockets and requests."""

    def __init__(
        self,
        server: Any,
        live: LiveProcess,
        ports: list[Any],
        channels: set[Channel],
        registry: Registry,
        *,
        grace_s: float,
        backlog: int,
    ) -> None:
        self._server = server
        self._live = live
        self._ports = ports
        self._channels = channels
        self._registry = registry
        self._grace_s = grace_s
        self._backlog = backlog
        self._work: asyncio.Task[None] | None = None

    def on_signal(self) -> None:
        if self._work is None:
            logger.info("draining; a second signal stops at once")
            self._live.vital.end_begun()
            self._work = asyncio.get_running_loop().create_task(self._run())
        else:
            _stop_at_once()

    async def _run(self) -> None:
        self._live.draining = True
        try:
            async with asyncio.timeout(self._grace_s):
                await self._stop_listening()
                await self._close_sockets()
                while self._busy():
                    await asyncio.sleep(_POLL_S)
                await self._live.hub.stop()
        except TimeoutError:
            logger.warning("the grace period is over")
            _stop_at_once()
        except Exception:
            logger.exception("draining failed")
            _stop_at_once()
        self._live.stop()
        self._server.stop()

    async def _stop_listening(self) -> None:
        loop = asyncio.get_running_loop()
        for port in self._ports:
            port.numberAccepts = self._backlog
            port.doRead()  # accept the connections that wait in the backlog
            await maybeDeferred(port.stopListening).asFuture(loop)

    async def _close_sockets(self) -> None:
        sockets = self._registry.sockets
        for step in range(_STEPS):
            for board_socket in sockets[step::_STEPS]:
                board_socket.close(SERVICE_RESTART)
            await asyncio.sleep(SPREAD_S / _STEPS if sockets else 0)

    def _busy(self) -> bool:
        """Whether a socket is open, or a request is unanswered. Idle connections are closed on the way."""
        now = asyncio.get_running_loop().time()
        idle = [channel for channel in self._channels if not channel.requests and not _begins(channel, now)]
        for channel in idle:
            channel.loseConnection()
        at_work = (details.get("application_instance") for details in self._server.connections.values())
        return bool(
            self._registry.sockets
            or len(idle) < len(self._channels)
            or any(instance is not None and not instance.done() for instance in at_work)
        )


def _begins(channel: Channel, now: float) -> bool:
    """Whether the client has only just connected or begun to send: its request may be on the way."""
    return channel.waiting_since is not None and now - channel.waiting_since < BEGIN_S


def _stop_at_once() -> None:
    logging.shutdown()
    os._exit(1)

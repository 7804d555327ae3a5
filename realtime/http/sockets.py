"""Which sockets a process opens: from which origins, how many in all and from one address.

`refusal_of` is the rule for every server. `WithSocketLimits` applies it where a socket comes in over ASGI;
our own server (realtime/server/requests.py) asks before it answers the handshake.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any

from django.conf import settings

from realtime.http import refusals
from realtime.process import LiveProcess
from realtime.sockets.admission import origin_allowed
from scores.api.addresses import counted_address
from scores.telemetry import security_events


class SocketCounts:
    """`limit` sockets in all (math.inf: no limit), `limit_per_address` from one address (0: no limit)."""

    def __init__(self, limit: float, limit_per_address: int) -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._addresses: Counter[str] = Counter()
        self._count = 0

    @property
    def full(self) -> bool:
        return self._count >= self._limit

    def full_for(self, address: str) -> bool:
        return 0 < self._limit_per_address <= self._addresses[address]

    def add(self, address: str) -> None:
        self._count += 1
        self._addresses[address] += 1

    def remove(self, address: str) -> None:
        self._count -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]


def refusal_of(
    path: str, origin: str | None, address: str, counts: SocketCounts, *, draining: bool
) -> refusals.Answer | None:
    """The answer to a handshake that is refused; None: the socket may be opened."""
    if not origin_allowed(origin):
        security_events.refused("origin", status=403, path=path[:200], address=address)
        return refusals.refusal(403, "forbidden", "Pages of this origin may not open the socket.")
    if counts.full or draining:
        return refusals.refusal(503, "full", "No more sockets can be opened here.", retry_after=2)
    if counts.full_for(address):
        security_events.refused("too_many_sockets", status=429, path=path[:200], address=address)
        detail = "Too many sockets are open from this address."
        return refusals.refusal(429, "too_many_sockets", detail, retry_after=10)
    return None


class WithSocketLimits:
    """ASGI layer for sockets. It puts the `address` that a socket is counted for into its scope."""

    def __init__(self, live: LiveProcess, application: Any) -> None:
        self._live = live
        self._application = application
        limit = settings.SCOREBOARD_MAX_SOCKETS or math.inf
        self._counts = SocketCounts(limit, settings.SCOREBOARD_MAX_SOCKETS_PER_ADDRESS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        peer = (scope.get("client") or [""])[0]
        forwarded = ", ".join(_headers(scope, b"x-forwarded-for"))
        address = counted_address(peer, forwarded)
        origin = next(iter(_headers(scope, b"origin")), None)
        answer = refusal_of(scope["path"], origin, address, self._counts, draining=self._live.draining)
        if answer is not None:
            await refusals.send_refusal(scope, receive, send, answer)
            return
        self._counts.add(address)
        try:
            await self._application(scope | {"address": address}, receive, with_backpressure(send))
        finally:
            self._counts.remove(address)


def _headers(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


class _Writable:
    """Twisted's transport calls this when its buffer is full, and when it has been written."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()

    def pauseProducing(self) -> None:  # noqa: N802
        self._event.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self._event.set()

    def stopProducing(self) -> None:  # noqa: N802
        self._event.set()


def with_backpressure(send: Any) -> Any:
    """A `send` that returns when the server has room for more.

    The `send` of other servers does so already. daphne's is `partial(handle_reply, protocol)` and never
    waits: whatever a client does not read stays in memory.
    """
    transport = next(
        (each.transport for each in getattr(send, "args", ()) if hasattr(each, "transport")), None
    )
    if transport is None:
        return send
    writable = _Writable()
    # The HTTP connection that the socket began as is still registered.
    transport.unregisterProducer()
    transport.registerProducer(writable, True)

    async def waiting_send(message: Any) -> None:
        await send(message)
        if message["type"] == "websocket.send":
            await writable.wait()

    return waiting_send

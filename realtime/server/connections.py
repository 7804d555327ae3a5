"""HTTP connections on our own server: the input of one, and the limit on their number."""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper
from twisted.web import http

from realtime.http import refusals
from realtime.process import LiveProcess
from realtime.server.registry import Registry
from realtime.server.requests import BodyRefused, ScoreboardRequest
from realtime.server.websocket import BoardSocket

#: Lines that the head of a request may have. Twisted limits headers and bytes, but not folded lines.
MAX_LINES = 1000
#: How long (s) a connection stays open after a refusal, for the answer to be read.
LINGER_S = 1.0


class Channel(http.HTTPChannel):  # type: ignore[misc]
    """One HTTP connection, known to the server while it is open."""

    #: When the client began to send a request that is not complete yet (event loop's time, s).
    waiting_since: float | None = None
    #: Whether the rest of the input is dropped, because a request was refused.
    refused = False
    _lines = 0
    #: Whether an earlier request was answered, which the transport may not have written yet.
    written = False
    transport: Any

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        self.waiting_since = _now()
        self.factory.channels.add(self)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self.factory.channels.discard(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.refused:
            return
        if self.waiting_since is None and not self.requests:
            self.waiting_since = _now()
        super().dataReceived(data)

    @property
    def is_idle(self) -> bool:
        """Whether it is only kept alive for another request."""
        return not self.requests and self.waiting_since is None and not self.transport.disconnecting

    def requestDone(self, request: Any) -> None:  # noqa: N802
        self.written = True
        super().requestDone(request)

    # --- Input, and its refusal -------------------------------------------------------------------------

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self.refused:
            return
        requests = len(self.requests)
        self._lines = self._lines + 1 if requests else 0
        if self._lines > MAX_LINES:
            self._respondToBadRequestAndDisconnect()
            return
        super().lineReceived(line)
        if len(self.requests) > requests and not self.refused:
            self.requests[-1].begin(line)

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802
        try:
            return bool(super().headerReceived(line))
        except ValueError:  # a Content-Length with more digits than Python converts
            self._respondToBadRequestAndDisconnect()
            return False

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.refused:
            return
        try:
            super().rawDataReceived(data)
        except BodyRefused:
            pass

    def refuse_rest(self) -> None:
        """Drop the rest of the input, and close the connection soon.

        Closed at once, input that is on the way would reset the connection before the answer is read.
        """
        self.refused = True
        self.setTimeout(LINGER_S)

    # Twisted's name. Its answer to what is not HTTP has no body and no headers.
    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        if self.refused:
            return
        _, headers, body = refusals.refusal(400, "invalid", "This is not a request that HTTP allows.")
        lines = [b"HTTP/1.1 400 Bad Request", b"Connection: close", b"Date: " + http.datetimeToString()]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.refuse_rest()
        self.clearLineBuffer()

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        self._respondToBadRequestAndDisconnect()

    def become(self, board_socket: BoardSocket) -> None:
        """Hand the connection over to a socket. This channel is not used any more."""
        transport = self.transport
        self.factory.channels.discard(self)
        self.setTimeout(None)
        transport.unregisterProducer()
        if isinstance(transport, ProtocolWrapper):  # TLS
            transport.wrappedProtocol = board_socket
        else:
            transport.protocol = board_socket
        self.requests.clear()
        self.transport = None
        board_socket.makeConnection(transport)
        transport.resumeProducing()


class Factory(http.HTTPFactory):  # type: ignore[misc]
    """Makes a Channel for each connection, while there are fewer than `room`, sockets included.

    At that limit a connection that is only kept alive is closed for the new one. If there is none, the new
    one is closed.
    """

    protocol = Channel

    def __init__(
        self, server: Any, live: LiveProcess, registry: Registry, room: float, keep_alive_s: float
    ) -> None:
        super().__init__(timeout=keep_alive_s)
        self.server = server
        self.live = live
        self.registry = registry
        self.channels: set[Channel] = set()
        self._room = room

    def buildProtocol(self, addr: Any) -> Protocol:  # noqa: N802
        if len(self.channels) + self.registry.count >= self._room and not self._make_way():
            return _Closed()
        channel: Channel = super().buildProtocol(addr)
        channel.requestFactory = ScoreboardRequest
        return channel

    def _make_way(self) -> bool:
        idle = next((channel for channel in self.channels if channel.is_idle), None)
        if idle is not None:
            idle.loseConnection()
        return idle is not None


class _Closed(Protocol):  # type: ignore[misc]
    """A connection for which there is no room. (TLS needs a protocol, even then.)"""

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.abortConnection()


def _now() -> float:
    return asyncio.get_running_loop().time()

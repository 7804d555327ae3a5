"""HTTP on our own server: daphne's request with a bounded body, our errors, and the door to the socket."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

from daphne.http_protocol import WebRequest
from django.conf import settings
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper
from twisted.web import http

from realtime import frames
from realtime.admission import admit
from realtime.consumers import origin_allowed
from realtime.events import SOCKET_PATH
from realtime.http import refusals
from realtime.http.limits import body_limit
from realtime.process import LiveProcess
from realtime.server.registry import Registry
from realtime.server.websocket import BoardSocket
from scores.rules.addresses import client_address
from scores.rules.errors import TooLarge, Unavailable
from scores.telemetry import security_events

#: How long (s) a connection stays open after a body was refused, for the answer to be read.
LINGER_S = 1.0


class Channel(http.HTTPChannel):  # type: ignore[misc]
    """One HTTP connection, known to the server while it is open."""

    #: When the client began to send what is not yet a whole request (event loop's time, s).
    waiting_since: float | None = None
    #: Whether what else comes in is dropped.
    refused = False
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

    # Twisted's name for it: what is no HTTP gets an answer without a body.
    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        if self.refused:
            return
        self.refused = True
        _, headers, body = refusals.refusal(400, "invalid", "This is not a request that HTTP allows.")
        lines = [b"HTTP/1.1 400 Bad Request", b"Connection: close"]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        # Closed at once, what is still coming in would reset the connection before the answer is read.
        self.setTimeout(LINGER_S)
        self.lineReceived = self.rawDataReceived = lambda _: None

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        self._respondToBadRequestAndDisconnect()

    def become(self, board_socket: BoardSocket) -> None:
        """Hand the connection over; this channel is forgotten."""
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


class ScoreboardRequest(WebRequest):  # type: ignore[misc]
    """One HTTP request."""

    channel: Any

    # --- The body: in memory, and refused while it comes in ------------------------------------------

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.content = BytesIO()
        # Twisted tells the request its path only when the body is complete.
        self._limit = body_limit(self.channel._path.decode("latin-1"))
        if length is not None and length > self._limit:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        if self.content.tell() + len(data) <= self._limit:
            self.content.write(data)
        elif not self.channel.refused:
            self._refuse_body()

    def _refuse_body(self) -> None:
        self.clientproto = b"HTTP/1.1"
        self.requestHeaders.removeHeader(b"expect")
        self.channel.refused = True
        self.channel.setTimeout(LINGER_S)
        # Else a proxy keeps the connection for somebody's next request, which would be dropped.
        self.setHeader(b"connection", b"close")
        answer = refusals.of_error(TooLarge(self._limit), self._header("idempotency-key"))
        # The request stays unfinished: what is left of it is dropped until the connection closes.
        self._answer(answer, more_body=True)

    # --- The request -----------------------------------------------------------------------------------

    def process(self) -> Any:
        channel = self.channel
        if channel.refused:
            channel.setTimeout(LINGER_S)  # the end of a body has switched it off
            return None
        channel.waiting_since = None
        if "websocket" in self._options("upgrade") and self.path == SOCKET_PATH.encode():
            return self._open_socket()
        result = super().process()
        if self.transport is None:  # daphne has taken the connection over for another socket
            channel.factory.channels.discard(channel)
        return result

    def _open_socket(self) -> None:
        token = frames.accept_token((self._header("sec-websocket-key") or "").encode("latin-1"))
        address = self._address()
        registry: Registry = self.channel.factory.registry
        live: LiveProcess = self.channel.factory.live
        if (
            self.method != b"GET"
            or self.clientproto != b"HTTP/1.1"
            or not self._header("host")
            or token is None
            or "upgrade" not in self._options("connection")
        ):
            self._answer(refusals.refusal(400, "invalid", "This is not a WebSocket handshake."))
        elif self._header("sec-websocket-version") != "13":
            self.setHeader(b"sec-websocket-version", b"13")
            self._answer(refusals.refusal(400, "invalid", "Only WebSocket version 13 is spoken here."))
        elif not origin_allowed(self._header("origin")):
            security_events.refused("origin", status=403, path=SOCKET_PATH, address=address)
            self._answer(refusals.refusal(403, "forbidden", "Pages of this origin may not open the socket."))
        elif registry.full or live.draining:
            self._answer(refusals.refusal(503, "full", "No more sockets can be opened here.", retry_after=2))
        elif registry.full_for(address):
            security_events.refused("too_many_sockets", status=429, path=SOCKET_PATH, address=address)
            detail = "Too many sockets are open from this address."
            self._answer(refusals.refusal(429, "too_many_sockets", detail, retry_after=10))
        else:
            admission = admit(self._listed("sec-websocket-protocol"), address)
            self.server.connections.pop(self, None)
            board_socket = BoardSocket(live.hub, registry.discard)
            registry.add(board_socket, address)
            channel, self.channel = self.channel, None
            channel.become(board_socket)
            board_socket.open(token, admission, in_line=channel.written or bool(self._header("expect")))

    def _address(self) -> str:
        peer = str(getattr(self.client, "host", ""))
        forwarded = ", ".join(self.requestHeaders.getRawHeaders("x-forwarded-for", ()))
        return client_address(peer, forwarded, settings.SCOREBOARD_TRUSTED_PROXIES)

    def _header(self, name: str) -> str | None:
        values = self.requestHeaders.getRawHeaders(name.encode())
        return None if not values else str(values[0].decode("latin-1"))

    def _listed(self, name: str) -> list[str]:
        """The parts of a header that is a list, in however many lines."""
        lines = self.requestHeaders.getRawHeaders(name.encode(), ())
        parts = [part.strip() for line in lines for part in line.decode("latin-1").split(",")]
        return [part for part in parts if part]

    def _options(self, name: str) -> list[str]:
        return [part.lower() for part in self._listed(name)]

    # --- The answer ------------------------------------------------------------------------------------

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and self._draining():
            self.channel.persistent = False
            self.setHeader(b"connection", b"close")
        super().handle_reply(message)

    def _draining(self) -> bool:
        return self.channel is not None and self.channel.factory.live.draining

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """What daphne itself has to say, in our shape; its 500s and timeouts are our 503."""
        if status == 400:
            self._answer(refusals.refusal(400, "invalid", f"{body}."))
        else:
            self._answer(refusals.of_error(Unavailable(), self._header("idempotency-key")))

    def _answer(self, answer: refusals.Answer, *, more_body: bool = False) -> None:
        status, headers, body = answer
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": body, "more_body": more_body})


class Factory(http.HTTPFactory):  # type: ignore[misc]
    """Makes a Channel for each connection, while there are fewer than `room`, board sockets included.

    At that limit a connection that is only kept alive makes way; if there is none, the new one is closed.
    Sockets that daphne has taken over are not counted.
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
    """A connection for which there is no room. (TLS does not know what to do with none at all.)"""

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.abortConnection()


def _now() -> float:
    return asyncio.get_running_loop().time()

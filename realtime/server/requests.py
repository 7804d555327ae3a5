"""One HTTP request on our own server: daphne's, with a bounded body, our errors and the socket handshake."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from daphne.http_protocol import WebRequest
from twisted.web import http

from realtime import frames
from realtime.http import refusals
from realtime.http.limits import body_limit
from realtime.http.sockets import refusal_of
from realtime.http.target import BadTarget, Target, read_target
from realtime.process import LiveProcess
from realtime.server.registry import Registry
from realtime.server.websocket import BoardSocket
from realtime.sockets.admission import admit
from scores.api.addresses import counted_address
from scores.rules.errors import TooLarge, Unavailable


class BodyRefused(Exception):
    """The rest of a refused body need not be read."""


class ScoreboardRequest(WebRequest):  # type: ignore[misc]
    """One HTTP request."""

    channel: Any
    _target = Target("", b"/")
    _bad_target: BadTarget | None = None

    def begin(self, line: bytes) -> None:
        """Read the request line, which is well-formed: before any header or body comes in."""
        method, target, _ = line.split(b" ")
        try:
            self._target = read_target(method, target)
            self._bad_target = None
        except BadTarget as error:
            self._target, self._bad_target = Target("", b"/"), error

    def parseCookies(self) -> None:  # noqa: N802
        """Django reads them, where they are needed."""

    # --- The body: in memory, and refused while it comes in ------------------------------------------

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.content = BytesIO()
        self._limit = body_limit(self._target.path)
        if length is not None and length > self._limit:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        if self.channel.refused:
            raise BodyRefused
        if self.content.tell() + len(data) > self._limit:
            self._refuse_body()
            raise BodyRefused
        self.content.write(data)

    def _refuse_body(self) -> None:
        self.clientproto = b"HTTP/1.1"
        self.requestHeaders.removeHeader(b"expect")
        self.channel.refuse_rest()
        # Else a proxy keeps the connection for the next request, which would be dropped.
        self.setHeader(b"connection", b"close")
        answer = refusals.of_error(TooLarge(self._limit), self._header("idempotency-key"))
        # The request stays unfinished: the rest of it is dropped until the connection closes.
        self._answer(answer, more_body=True)

    # --- The request -----------------------------------------------------------------------------------

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        # Twisted's own also takes the query and forms apart, which Django does again, with limits.
        self.method, self.clientproto = command, version
        self.path, self.uri = self._target.raw_path, self._target.raw_path
        if self._target.query:
            self.uri += b"?" + self._target.query
        if self._target.host is not None:
            self.requestHeaders.setRawHeaders(b"host", [self._target.host])
        # daphne would believe it, from any client.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        self.client, self.host = self.channel.getPeer(), self.channel.getHost()
        self.content.seek(0)
        self.process()

    def process(self) -> Any:
        channel = self.channel
        channel.waiting_since = None
        if self._bad_target is not None:
            return self._answer(self._bad_target.answer)
        hosts = self.requestHeaders.getRawHeaders(b"host", ())
        if len(hosts) != 1 and self.clientproto == b"HTTP/1.1":  # RFC 9112, section 3.2
            return self._answer(refusals.refusal(400, "invalid", "A request needs one Host header."))
        if "websocket" in self._options("upgrade"):
            return self._open_socket()
        return super().process()

    def _open_socket(self) -> None:
        registry: Registry = self.channel.factory.registry
        live: LiveProcess = self.channel.factory.live
        address = self._address()
        token = frames.accept_token((self._header("sec-websocket-key") or "").encode("latin-1"))
        if token is None or not self._is_handshake():
            self._answer(refusals.refusal(400, "invalid", "This is not a WebSocket handshake."))
            return
        refusal = self._version_refusal() or refusal_of(
            self._target.path,
            self._header("origin"),
            address,
            registry.counts,
            draining=live.draining,
        )
        if refusal is not None:
            self._answer(refusal)
            return
        admission = admit(self._target.path, self._listed("sec-websocket-protocol"), address)
        self.server.connections.pop(self, None)
        board_socket = BoardSocket(live.hub, registry.discard)
        registry.add(board_socket, address)
        channel, self.channel = self.channel, None
        channel.become(board_socket)
        board_socket.open(token, admission, in_line=channel.written or bool(self._header("expect")))

    def _is_handshake(self) -> bool:
        return bool(
            self.method == b"GET"
            and self.clientproto == b"HTTP/1.1"
            and self._header("host")
            and "upgrade" in self._options("connection")
        )

    def _version_refusal(self) -> refusals.Answer | None:
        if self._header("sec-websocket-version") == "13":
            return None
        version = {"Sec-WebSocket-Version": "13"}
        return refusals.refusal(
            400, "invalid", "Only WebSocket version 13 is supported here.", headers=version
        )

    def _address(self) -> str:
        peer = str(getattr(self.client, "host", ""))
        forwarded = ", ".join(self.requestHeaders.getRawHeaders("x-forwarded-for", ()))
        return counted_address(peer, forwarded)

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
        if message["type"] == "http.response.start" and self.channel is not None:
            self.setHeader(b"date", http.datetimeToString())
            if self.channel.factory.live.draining:
                self.channel.persistent = False
                self.setHeader(b"connection", b"close")
        super().handle_reply(message)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """daphne's own answers as problems; its 500s and timeouts are our 503."""
        if status == 400:
            self._answer(refusals.refusal(400, "invalid", f"{body}."))
        else:
            self._answer(refusals.of_error(Unavailable(), self._header("idempotency-key")))

    def _answer(self, answer: refusals.Answer, *, more_body: bool = False) -> None:
        status, headers, body = answer
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": body, "more_body": more_body})

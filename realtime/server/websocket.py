"""An open board socket on our own server: a Twisted protocol that is the hub's viewer itself.

A board costs one `send` on the socket, of bytes that all sockets share. The transport keeps what the kernel
does not take. Until the transport has written it this viewer is behind (realtime/sockets/viewer_limits.py).

A transport without a plain socket (TLS) is written through; its viewer is behind while the transport's
buffer is full.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from realtime import frames
from realtime.events import BEHIND, NO_PONG, TOO_MANY_MESSAGES, UNAUTHORIZED
from realtime.hub.audience import Frame
from realtime.hub.hub import Hub
from realtime.sockets.admission import Admission
from realtime.sockets.viewer_limits import LimitedViewer

#: A ping goes out this often (s); without a pong within PONG_S the socket is closed.
PING_S = 20.0
PONG_S = 30.0
#: How long (s) a client has to answer a close frame.
CLOSE_S = 2.0


class BoardSocket(LimitedViewer, Protocol):  # type: ignore[misc]
    """One viewer. `on_lost` is called once, when the connection is gone."""

    _closing_since: float | None = None
    _pong_by: float | None = None
    _ends_at = float("inf")  # when the viewer's token expires
    _buffer = b""
    _message: bytes | None = None  # an unfinished one
    _text = False  # whether it is text
    _ignores_input = False  # after a mistake of the client, or its close

    def __init__(self, hub: Hub, on_lost: Callable[[BoardSocket], None]) -> None:
        self._hub = hub
        self._on_lost = on_lost

    def connectionMade(self) -> None:  # noqa: N802
        handle = self.transport.getHandle()
        self._socket = handle if isinstance(handle, socket.socket) else None
        if self._socket is None:
            self.transport.registerProducer(self, True)
        self._ping_at = asyncio.get_running_loop().time() + PING_S

    def open(self, token: bytes, admission: Admission, *, in_line: bool) -> None:
        """Finish the handshake with `token`; then subscribe, or close as the admission says.

        `in_line`: the transport may still have to write an earlier answer, which must come first.
        """
        protocol = admission.protocol
        chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n".encode() if protocol else b""
        head = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + chosen
            + b"Sec-WebSocket-Accept: "
            + token
            + b"\r\n\r\n"
        )
        if in_line and self._socket is not None:
            self._fall_behind(head)
        else:
            self._write(head)
        if admission.lasts_s is not None:
            self._ends_at = asyncio.get_running_loop().time() + admission.lasts_s
        if admission.refusal is None:
            self._hub.add(self)
            self._come_up()
        else:
            self.close(admission.refusal)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._closing_since = 0.0
        self._slot = None
        self._hub.discard(self)
        self._on_lost(self)

    # --- Called by the hub ---------------------------------------------------------------------------

    def offer(self, frame: Frame) -> None:
        if self._behind_since is not None:
            self._slot = frame
        elif self._closing_since is None:
            self._write(frame.wire)

    def ping(self, frame: Frame) -> None:
        if self._behind_since is None and self._closing_since is None:
            self._write(frame.wire)

    def cut_short(self, wire: bytes, sent: int) -> None:
        if sent < 0:
            self._abort()
        else:
            self._fall_behind(wire[sent:])

    # --- Writing ---------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        """Send what the kernel takes now; the transport keeps the rest. Only while not behind."""
        if self._socket is None:
            self.transport.write(data)
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = -1
        if sent != len(data):
            self.cut_short(data, sent)

    def _fall_behind(self, rest: bytes) -> None:
        """Leave the rest to the transport, which asks for more when it has written that."""
        self._hub.write_through(self, None)
        # The transport also asks when a pull producer registers, so the viewer is not yet behind here.
        self.transport.registerProducer(self, False)
        self._behind_since = asyncio.get_running_loop().time()
        self.transport.write(rest)

    def _come_up(self) -> None:
        """Let the hub write to the socket itself, while the transport holds nothing."""
        if self._behind_since is None and self._closing_since is None:
            self._hub.write_through(self, self._socket)

    def pauseProducing(self) -> None:  # noqa: N802
        """The transport's buffer is full (TLS)."""
        self._behind_since = asyncio.get_running_loop().time()

    def resumeProducing(self) -> None:  # noqa: N802
        """The transport has written what it held: send the newest board there is."""
        if self._behind_since is None:
            return
        self._behind_since = None
        if self._socket is not None:
            self.transport.unregisterProducer()
        frame = self.take_slot()
        if frame is not None:
            self.offer(frame)
        self._come_up()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone; connectionLost says so, too."""

    # --- Reading ---------------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._ignores_input:
            return
        data, position, self._buffer = self._buffer + data, 0, b""
        now = asyncio.get_running_loop().time()
        try:
            # Each frame is counted before it is read: a client cannot make us read more than the rate.
            while not self._ignores_input:
                if self.receives_too_much(now):
                    raise frames.FrameError(TOO_MANY_MESSAGES)
                found = frames.read_frame(data, position)
                if found is None:
                    self._buffer = data[position:]
                    return
                frame, position = found
                self._receive(frame)
                if position == len(data):
                    return
        except frames.FrameError as error:
            self._ignores_input = True
            self.close(error.code)

    def _receive(self, frame: frames.Received) -> None:
        if frame.opcode == frames.PONG:
            self._pong_by = None
        elif frame.opcode == frames.PING:
            if self._behind_since is None and self._closing_since is None:
                self._write(frames.frame(frames.PONG, frame.payload))
        elif frame.opcode == frames.CLOSE:
            self._ignores_input = True
            self.close(frames.close_code(frame.payload))
            # With a producer registered, a transport waits for that before it closes.
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        else:
            self._measure(frame)

    def _measure(self, frame: frames.Received) -> None:
        # A viewer's messages are ignored, but they must be well-formed.
        if (frame.opcode == frames.CONTINUATION) is (self._message is None):
            raise frames.FrameError(frames.PROTOCOL_ERROR)
        if frame.opcode != frames.CONTINUATION:
            self._text = frame.opcode == frames.TEXT
        message = (self._message or b"") + frame.payload
        if len(message) > frames.MAX_PAYLOAD:
            raise frames.FrameError(frames.TOO_BIG)
        if frame.final and self._text and not frames.is_text(message):
            raise frames.FrameError(frames.NOT_TEXT)
        self._message = None if frame.final else message

    # --- Closing ---------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called about once a second with the event loop's time: send pings, end what has taken too long."""
        if self._closing_since is not None:
            if now - self._closing_since > CLOSE_S:
                self._abort()
        elif now > self._ends_at:
            self.close(UNAUTHORIZED)
        elif self.behind:
            if self.behind_too_long(now):
                self.close(BEHIND)
        elif self._pong_by is not None:
            if now > self._pong_by:
                self.close(NO_PONG)
        elif now > self._ping_at:
            self._ping_at = now + PING_S
            self._pong_by = now + PONG_S
            self._write(frames.frame(frames.PING, b""))

    def close(self, code: int) -> None:
        """Send a close frame, once; the client has CLOSE_S to answer, then the connection is dropped."""
        if self._closing_since is not None:
            return
        self._hub.discard(self)
        self._slot = None
        if self._behind_since is None:
            self._write(frames.close_frame(code))
        else:
            self.transport.write(frames.close_frame(code))
        self._closing_since = asyncio.get_running_loop().time()

    def _abort(self) -> None:
        self._closing_since = 0.0
        self._hub.discard(self)
        self.transport.unregisterProducer()
        self.transport.abortConnection()

"""An open board socket on our own server: a Twisted protocol that is the hub's viewer itself.

A board costs one `send` on the socket, of bytes that all sockets share. What the kernel does not take
goes to the transport, and until the transport has got rid of it this viewer is *behind*: it has one
slot, where a newer board replaces an older one. So its memory is constant, however slowly it reads.

A transport without a plain socket (TLS) is written through; it counts as behind while it says so.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from realtime import frames
from realtime.admission import Admission
from realtime.audience import Frame
from realtime.events import BEHIND, NO_PONG, TOO_MANY_MESSAGES, UNAUTHORIZED
from realtime.hub import Hub

#: A ping goes out this often (s); without a pong within PONG_S the socket is closed.
PING_S = 20.0
PONG_S = 30.0
#: A viewer may be behind for this long (s).
BEHIND_S = 30.0
#: How long (s) a client has to answer a close frame.
CLOSE_S = 2.0
#: A client may send this many frames, or pieces of frames, in RATE_WINDOW_S seconds.
RATE_MAX = 100
RATE_WINDOW_S = 10.0


class BoardSocket(Protocol):  # type: ignore[misc]
    """One viewer. `on_lost` is called once, when the connection is gone."""

    _slot: Frame | None = None
    _behind_since: float | None = None
    _closing_since: float | None = None
    _pong_by: float | None = None
    _ends_at = float("inf")  # when the viewer's token expires
    _buffer = b""
    _message: bytes | None = None  # an unfinished one
    _text = False  # whether it is text
    _rate = 0

    def __init__(self, hub: Hub, on_lost: Callable[[BoardSocket], None]) -> None:
        self._hub = hub
        self._on_lost = on_lost

    def connectionMade(self) -> None:  # noqa: N802
        handle = self.transport.getHandle()
        self._socket = handle if isinstance(handle, socket.socket) else None
        if self._socket is None:
            self.transport.registerProducer(self, True)
        self._rate_since = now = asyncio.get_running_loop().time()
        self._ping_at = now + PING_S

    def open(self, token: bytes, admission: Admission, *, in_line: bool) -> None:
        """Finish the handshake with `token`; then subscribe, or close as the admission says.

        `in_line`: behind what the transport may still have to write.
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

    @property
    def behind(self) -> bool:
        """Whether something that was sent has not been taken yet."""
        return self._behind_since is not None

    # --- What the hub says ---------------------------------------------------------------------------

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
        """Leave the rest to the transport, which asks for more when it has got rid of it."""
        self._hub.write_through(self, None)
        # It also asks once when a pull producer registers: before this viewer counts as behind.
        self.transport.registerProducer(self, False)
        self._behind_since = asyncio.get_running_loop().time()
        self.transport.write(rest)

    def _come_up(self) -> None:
        """Let the hub write to the socket by itself, if nothing stands before."""
        if self._behind_since is None and self._closing_since is None:
            self._hub.write_through(self, self._socket)

    def pauseProducing(self) -> None:  # noqa: N802
        """The transport's buffer is full (TLS)."""
        self._behind_since = asyncio.get_running_loop().time()

    def resumeProducing(self) -> None:  # noqa: N802
        """The transport has got rid of what it held: send the newest board there is."""
        if self._behind_since is None:
            return
        self._behind_since = None
        if self._socket is not None:
            self.transport.unregisterProducer()
        frame, self._slot = self._slot, None
        if frame is not None:
            self.offer(frame)
        self._come_up()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone; connectionLost says so, too."""

    # --- Reading ---------------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        try:
            received, self._buffer = frames.split_frames(self._buffer + data)
            self._count(max(1, len(received)))
            for frame in received:
                self._receive(frame)
        except frames.FrameError as error:
            self._buffer = b""
            self.close(error.code)

    def _count(self, pieces: int) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._rate_since > RATE_WINDOW_S:
            self._rate_since, self._rate = now, 0
        self._rate += pieces
        if self._rate > RATE_MAX:
            raise frames.FrameError(TOO_MANY_MESSAGES)

    def _receive(self, frame: frames.Received) -> None:
        if frame.opcode == frames.PONG:
            self._pong_by = None
        elif frame.opcode == frames.PING:
            if self._behind_since is None and self._closing_since is None:
                self._write(frames.frame(frames.PONG, frame.payload))
        elif frame.opcode == frames.CLOSE:
            self.close(frames.close_code(frame.payload))
            # With a producer registered, a transport waits for that before it closes.
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        else:
            self._measure(frame)

    def _measure(self, frame: frames.Received) -> None:
        # What a viewer says is ignored, but it must be well-formed.
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
        """About once a second, with the event loop's time: pings, and what has taken too long."""
        if self._closing_since is not None:
            if now - self._closing_since > CLOSE_S:
                self._abort()
        elif now > self._ends_at:
            self.close(UNAUTHORIZED)
        elif self._behind_since is not None:
            if now - self._behind_since > BEHIND_S:
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

"""A WebSocket client that can misbehave: whole control over bytes, reading speed and buffers."""

from __future__ import annotations

import json
import re
import socket
import ssl
from typing import Any, NamedTuple

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3
MASK = b"\x11\x22\x33\x44"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big")

    @property
    def message(self) -> dict[str, Any]:
        assert self.opcode == TEXT, self
        found: dict[str, Any] = json.loads(self.payload)
        return found


def client_frame(
    opcode: int, payload: bytes, *, final: bool = True, masked: bool = True, rsv: int = 0
) -> bytes:
    first = (0x80 if final else 0) | rsv << 4 | opcode
    length, bit = len(payload), 0x80 if masked else 0
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65536:
        head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


class RawViewer:
    """One connection; over TLS with `trust`. `receive_buffer` (bytes) makes it a client that holds little."""

    def __init__(
        self, port: int, *, receive_buffer: int | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", port))
        if trust:
            self.socket = trust.wrap_socket(self.socket, server_hostname="localhost")
        self._buffer = b""

    def __enter__(self) -> RawViewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def shake_hands(
        self, path: str = "/ws/scoreboard", *, version: str = "1.1", before: bytes = b"", **headers: str
    ) -> tuple[int, str]:
        """(status, head) of the answer; a header given as "" is left out.

        `before` is sent in one piece with it.
        """
        fields = {
            "Host": "127.0.0.1",
            "Upgrade": "websocket",
            "Connection": "keep-alive, Upgrade",
            "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in fields.items() if value]
        self.send(before + "\r\n".join([f"GET {path} HTTP/{version}", *lines, "", ""]).encode())
        head = self.next_head()
        return int(head.split()[1]), head

    def next_head(self) -> str:
        """The head of the next answer; a body of a known length is dropped."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        while found and len(self._buffer) < int(found[1]):
            self._fill()
        self._buffer = self._buffer[int(found[1]) if found else 0 :]
        return head.decode()

    def opened(self) -> RawViewer:
        """After the handshake and the snapshot."""
        status, head = self.shake_hands()
        assert status == 101, head
        assert self.read().message["type"] == "board"
        return self

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def say(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        self.send(client_frame(opcode, payload, **options))

    def read(self) -> Frame:
        """The next frame. Raises EOFError when the server has closed, TimeoutError after 5 s."""
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            self._fill()

    def read_control(self) -> Frame:
        """The next frame that is no board."""
        while True:
            frame = self.read()
            if frame.opcode != TEXT:
                return frame

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data

    def _take(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2 or (buffer[1] == 126 and len(buffer) < 4):
            return None
        length, start = buffer[1], 2
        assert length < 128, "a server must not mask"
        if length == 126:
            length, start = int.from_bytes(buffer[2:4], "big"), 4
        if len(buffer) < start + length:
            return None
        self._buffer = buffer[start + length :]
        return Frame(buffer[0] & 15, buffer[start : start + length])

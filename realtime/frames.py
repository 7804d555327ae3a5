"""RFC 6455 on bytes: the frames we send, the frames we receive, the answer to a handshake key.

Pure functions; imports nothing of ours. The board expects no messages from its clients: their data frames
are checked and dropped.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
#: Largest payload (bytes) a client may send in one frame or message.
MAX_PAYLOAD = 1024

PROTOCOL_ERROR = 1002
NOT_TEXT = 1007
TOO_BIG = 1009

_FIN = 0x80
_MASKED = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class FrameError(Exception):
    """The client broke the protocol; `code` is what to close with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Received(NamedTuple):
    """A frame from a client, its payload unmasked."""

    final: bool
    opcode: int
    payload: bytes


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole, final frame from a server."""
    length = len(payload)
    if length < 126:
        head = bytes((_FIN | opcode, length))
    elif length < 65536:
        head = bytes((_FIN | opcode, 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, 127)) + length.to_bytes(8, "big")
    return head + payload


def text_frame(text: str) -> bytes:
    return frame(TEXT, text.encode())


def close_frame(code: int) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big"))


def read_frame(data: bytes, position: int = 0) -> tuple[Received, int] | None:
    """The frame that begins at `position`, and where it ends; None while it is incomplete.

    Raises FrameError as soon as the head says that the frame is not allowed.
    """
    if len(data) - position < 2:
        return None
    first, second = data[position], data[position + 1]
    opcode, length = first & 0x0F, second & 0x7F
    if first & 0x70 or not second & _MASKED or opcode not in (0, 1, 2, 8, 9, 10):
        raise FrameError(PROTOCOL_ERROR)
    if opcode >= CLOSE and (length > 125 or not first & _FIN):
        raise FrameError(PROTOCOL_ERROR)
    body = position + 6
    if length == 126:
        if len(data) - position < 4:
            return None
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body += 2
    elif length == 127:
        raise FrameError(TOO_BIG)
    if length > MAX_PAYLOAD:
        raise FrameError(TOO_BIG)
    end = body + length
    if len(data) < end:
        return None
    payload = _unmasked(data[body:end], data[body - 4 : body])
    return Received(bool(first & _FIN), opcode, payload), end


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def is_text(message: bytes) -> bool:
    """Whether a whole message may be one of text (section 8.1)."""
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def close_code(payload: bytes) -> int:
    """The code to answer a client's close frame with: its own, or what its mistake deserves."""
    if not payload:
        return 1000
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CLOSE_CODES or 3000 <= code <= 4999):
        return PROTOCOL_ERROR
    return code if is_text(payload[2:]) else NOT_TEXT


# Section 7.4.1 and the IANA registry; the others must not be on the wire.
_CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


def accept_token(key: bytes) -> bytes | None:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key; None when it is not 16 bytes in base64."""
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            return None
    except binascii.Error:
        return None
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())

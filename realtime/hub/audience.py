"""The viewers of one process as a table, and the loop that writes one message to all of them.

The loop is what a board costs, so it touches nothing but the sockets: with thousands of them, going
through one more object for each is a fifth slower, for the memory it has to fetch.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable
from operator import length_hint
from typing import Protocol, cast

from realtime.frames import text_frame

#: Viewers served between two iterations of the event loop: less than half a millisecond of writes.
BATCH = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One message to all viewers, encoded once: as text, and as the bytes on the wire (RFC 6455)."""

    revision: int
    text: str
    wire: bytes = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", text_frame(self.text))


class Viewer(Protocol):
    """An open socket, as the hub sees it. Neither method may block or raise."""

    def offer(self, frame: Frame) -> None:
        """Send this board, or keep it as the one to send next, in place of an older one."""

    def ping(self, frame: Frame) -> None:
        """Send this sign of life, unless a board is waiting to be sent."""


class DirectViewer(Viewer, Protocol):
    """A viewer whose socket the loop writes to itself, as long as nothing is queued for it."""

    def cut_short(self, wire: bytes, sent: int) -> None:
        """Only `sent` bytes were taken, or the socket is broken (-1)."""


class Audience:
    """Viewers in the order in which they connected. All methods run on the event loop."""

    def __init__(self) -> None:
        self._viewers: list[Viewer | None] = []
        self._sockets: list[socket.socket | None] = []
        self._places: dict[Viewer, int] = {}
        self._free: list[int] = []
        self._rounds = 0

    def __len__(self) -> int:
        return len(self._places)

    def add(self, viewer: Viewer) -> None:
        # The running round may still visit a free place, and a new viewer gets its board separately.
        if self._free and not self._rounds:
            place = self._free.pop()
            self._viewers[place] = viewer
        else:
            place = len(self._viewers)
            self._viewers.append(viewer)
            self._sockets.append(None)
        self._places[viewer] = place

    def discard(self, viewer: Viewer) -> None:
        place = self._places.pop(viewer, None)
        if place is not None:
            self._viewers[place] = self._sockets[place] = None
            self._free.append(place)

    def write_through(self, viewer: DirectViewer, to: socket.socket | None) -> None:
        """Write to this viewer's socket from now on; None: offer. Nothing happens for a viewer that left."""
        place = self._places.get(viewer)
        if place is not None:
            self._sockets[place] = to

    async def reach(self, frame: Frame, otherwise: Callable[[Viewer, Frame], None]) -> None:
        """Write the frame to all viewers; call `otherwise` for those without a socket to write to."""
        self._rounds += 1
        try:
            end = len(self._sockets)
            for start in range(0, end, BATCH):
                self._reach(frame, otherwise, start, min(start + BATCH, end))
                await asyncio.sleep(0)
        finally:
            self._rounds -= 1

    def _reach(self, frame: Frame, otherwise: Callable[[Viewer, Frame], None], start: int, end: int) -> None:
        wire = frame.wire
        size = len(wire)
        sockets = iter(self._sockets[start:end])
        for to in sockets:
            sent = None
            if to is not None:
                try:
                    sent = to.send(wire)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    sent = -1
                if sent == size:
                    continue
            # Counting in the loop would slow down the common case.
            viewer = self._viewers[end - 1 - length_hint(sockets)]
            if viewer is None:
                continue
            if sent is None:
                otherwise(viewer, frame)
            else:
                cast(DirectViewer, viewer).cut_short(wire, sent)

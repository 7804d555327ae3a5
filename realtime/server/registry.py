"""The open sockets of this process, and the clock that they share."""

from __future__ import annotations

import asyncio

from realtime.http.sockets import SocketCounts
from realtime.server.websocket import BoardSocket

#: Every socket is looked at this often (s): pings, and what has taken too long.
TICK_S = 1.0
#: Sockets looked at between two turns of the event loop.
BATCH = 512


class Registry:
    """The open sockets, each with the address that it is counted for."""

    def __init__(self, counts: SocketCounts) -> None:
        self.counts = counts
        self._addresses: dict[BoardSocket, str] = {}

    @property
    def sockets(self) -> list[BoardSocket]:
        return list(self._addresses)

    @property
    def count(self) -> int:
        return len(self._addresses)

    @property
    def behind(self) -> int:
        return sum(board_socket.behind for board_socket in self.sockets)

    def add(self, board_socket: BoardSocket, address: str) -> None:
        self._addresses[board_socket] = address
        self.counts.add(address)

    def discard(self, board_socket: BoardSocket) -> None:
        address = self._addresses.pop(board_socket, None)
        if address is not None:
            self.counts.remove(address)

    async def run_clock(self) -> None:
        """Tick all sockets, without end."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            sockets = self.sockets
            for start in range(0, len(sockets), BATCH):
                now = loop.time()
                for board_socket in sockets[start : start + BATCH]:
                    board_socket.tick(now)
                await asyncio.sleep(0)

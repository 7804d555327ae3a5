"""The open sockets of this process: how many there may be, whose they are, and their clock."""

from __future__ import annotations

import asyncio
from collections import Counter

from realtime.server.websocket import BoardSocket

#: Every socket is looked at this often (s): pings, and what has taken too long.
TICK_S = 1.0
#: Sockets looked at between two turns of the event loop.
BATCH = 512


class Registry:
    """`limit` sockets in all (math.inf: no limit), `limit_per_address` from one address (0: no limit)."""

    def __init__(self, limit: float, limit_per_address: int) -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._addresses: dict[BoardSocket, str] = {}
        self._counts: Counter[str] = Counter()

    @property
    def sockets(self) -> list[BoardSocket]:
        return list(self._addresses)

    @property
    def count(self) -> int:
        return len(self._addresses)

    @property
    def behind(self) -> int:
        return sum(board_socket.behind for board_socket in self.sockets)

    @property
    def full(self) -> bool:
        return self.count >= self._limit

    def full_for(self, address: str) -> bool:
        return 0 < self._limit_per_address <= self._counts[address]

    def add(self, board_socket: BoardSocket, address: str) -> None:
        self._addresses[board_socket] = address
        self._counts[address] += 1

    def discard(self, board_socket: BoardSocket) -> None:
        address = self._addresses.pop(board_socket, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    async def run_clock(self) -> None:
        """Tick for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            sockets = self.sockets
            for start in range(0, len(sockets), BATCH):
                now = loop.time()
                for board_socket in sockets[start : start + BATCH]:
                    board_socket.tick(now)
                await asyncio.sleep(0)

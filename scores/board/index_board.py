"""The board without the ranking: the sparse index nominates, the table decides."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from scores import concurrency
from scores.rules.boards import Board, Row, rows_of
from scores.rules.errors import Unavailable
from scores.stores.players import PlayerTable

#: How long (s) such a board may be shown. With the poll of the hub (POLL_AWAY_S there), no board that is sent
#: a second after a ban shows the player.
GOOD_FOR_S = 0.3
#: A caller waits this long (s) at most while another one reads.
WAIT_S = 1.0
#: Nominees to read: more than fit on the board, because the table may not confirm all of them.
NOMINEES = 30


def rows_in_table(players: PlayerTable, also: Iterable[str] = ()) -> tuple[Row, ...]:
    """The Top 10 as the table has it: nominated by the index, and by `also` (user ids), read consistently.

    One query and one batch of at most NOMINEES players and those of `also`. Raises Unavailable or Throttled.
    """
    nominated = [user_id for user_id, _ in players.nominees(NOMINEES)]
    return rows_of(players.read_many(dict.fromkeys([*nominated, *also])).values())


class IndexBoard:
    """Reads the board at most once in GOOD_FOR_S. One caller reads; others share the result or failure."""

    def __init__(self, players: PlayerTable) -> None:
        self._players = players
        self._lock = threading.Lock()
        self._board: Board | None = None
        self._read_at = self._failed_at = float("-inf")

    def get(self) -> Board:
        """Raises Unavailable, after WAIT_S at most when another caller is reading."""
        began = time.monotonic()
        if not concurrency.acquire(self._lock, WAIT_S):
            raise Unavailable
        try:
            if self._board is not None and time.monotonic() - self._read_at <= GOOD_FOR_S:
                return self._board
            if self._failed_at > began:
                raise Unavailable
            return self._read()
        finally:
            self._lock.release()

    def _read(self) -> Board:
        try:
            rows = rows_in_table(self._players)
        except Unavailable:
            self._failed_at = time.monotonic()
            raise
        now = time.time_ns()
        self._board = Board(rows, now // 1000, now // 1_000_000, from_index=True)
        self._read_at = time.monotonic()
        return self._board

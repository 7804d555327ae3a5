"""One board as one process knows it.

Made once, when Django starts (scores.apps), and handed down from the doors: views, admin pages, commands, the
hub. A test makes its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import cast

from django.apps import apps
from django.conf import settings
from django.dispatch import Signal

from scores import concurrency
from scores.board.index_board import IndexBoard
from scores.rules.boards import BOARD_SIZE, DEFAULT_BOARD, Board
from scores.rules.errors import Conflict, Unavailable
from scores.rules.limits import KnownRefusals, LocalLimiter
from scores.stores.cache import Cache, RankingUnavailable
from scores.stores.players import PlayerTable
from scores.stores.ranking import Ranking

#: The board has a new revision: `receiver(sender=scoreboard, revision=int)`, in the thread that changed it.
#: Connect here what must happen then (realtime.hub.broadcaster).
board_changed = Signal()

#: How long (s) the floor that the table records may be used after it was read. These 8 s and the 2 s of an
#: update end before a dropped floor is recorded again (rebuild.FLOOR_GRACE_MS).
RECORDED_FLOOR_S = 8.0


class Unmerged:
    """Players whose merge failed in this process, for the reconciler. Bounded: the oldest are forgotten."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._user_ids: OrderedDict[str, None] = OrderedDict()

    def add(self, user_ids: Iterable[str]) -> None:
        with self._lock:
            self._user_ids.update(dict.fromkeys(user_ids))
            while len(self._user_ids) > self._most:
                self._user_ids.popitem(last=False)

    def take(self, count: int) -> list[str]:
        """Remove and return at most `count`, the oldest first."""
        with self._lock:
            taken = list(islice(self._user_ids, count))
            for user_id in taken:
                del self._user_ids[user_id]
            return taken

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._user_ids))


class PlayerLocks:
    """One writer per player in this process: optimistic retries alone collapse under contention."""

    def __init__(self, count: int = 1024) -> None:
        self._locks = [threading.Lock() for _ in range(count)]

    @contextmanager
    def hold(self, user_id: str, timeout_s: float) -> Iterator[None]:
        """Raises Conflict when another writer keeps the player for `timeout_s`."""
        lock = self._locks[hash(user_id) % len(self._locks)]
        if not concurrency.acquire(lock, timeout_s):
            raise Conflict
        try:
            yield
        finally:
            lock.release()


class Scoreboard:
    """The stores of one board, and what this process remembers about it."""

    def __init__(self, cache: Cache, board_id: str = DEFAULT_BOARD, size: int = BOARD_SIZE) -> None:
        self.board_id = board_id
        self.size = size
        self.cache = cache
        self.players = PlayerTable(board_id)
        self.index_board = IndexBoard(self.players)
        #: The last board that was read, for the time when no store answers.
        self.last_board: Board | None = None
        self.unmerged = Unmerged()
        self.player_locks = PlayerLocks()
        self.local_limiter = LocalLimiter()
        self.known_refusals = KnownRefusals()
        #: Lost merges that this process repaired: 0 in normal life.
        self.repairs = 0
        self._lock = threading.Lock()
        self._ranking: Ranking | None = None
        self._recorded_floor = (0, float("-inf"))  # and when it was read

    def now_ms(self) -> int:
        """The clock for entries and bans (ms since 1970)."""
        return time.time_ns() // 1_000_000

    # --- The ranking ----------------------------------------------------------------------------------

    def use_generation(self, generation: str) -> Ranking:
        """The ranking of this generation of the table, for this process from now on."""
        with self._lock:
            if self._ranking is None or self._ranking.generation != generation:
                self._ranking = Ranking(self.cache, self.board_id, generation, self.size)
            return self._ranking

    def ranking(self) -> Ranking:
        """The current ranking. Raises RankingUnavailable while the table's generation is not known."""
        if self._ranking is not None:
            return self._ranking
        try:
            return self.use_generation(self.players.read_state().generation)
        except Unavailable as error:
            raise RankingUnavailable("the table's generation is not known") from error

    # --- The floor ------------------------------------------------------------------------------------

    def remember_floor(self, floor: int) -> None:
        """The table has just been seen to record this floor; 0: none may be used."""
        self._recorded_floor = (floor, time.monotonic())

    def recorded_floor(self) -> int:
        """The floor to use while Redis does not say which is in force; 0: index everybody.

        The index is complete from the recorded floor upwards in any case. Without it, all updates would go
        to the one partition of the index while Redis is away, and DynamoDB would refuse many of them.
        """
        floor, read_at = self._recorded_floor
        return floor if time.monotonic() - read_at < RECORDED_FLOOR_S else 0

    def floor(self) -> int:
        """The floor in force, else the recorded one."""
        try:
            return self.ranking().guess("")[1]
        except RankingUnavailable:
            return self.recorded_floor()


def scoreboard_from_settings() -> Scoreboard:
    """A scoreboard on the stores that the settings name."""
    return Scoreboard(Cache(settings.REDIS_URL))


def get_scoreboard() -> Scoreboard:
    """The scoreboard of this process. For the doors only: everything below is handed one."""
    return cast(Scoreboard, apps.get_app_config("scores").scoreboard)  # type: ignore[attr-defined]

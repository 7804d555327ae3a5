"""The ranking in Redis: the only user of its keys. The writing is done by `ranking.lua`.

Redis is a cache here: whatever is lost can be merged again from the table, late, repeated or out of
order. So nothing in this module retries. Every call is short, and a breaker skips calls for a second
when two in a row went unanswered.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from scores import concurrency
from scores.rules.boards import BOARD_ID, BOARD_SIZE, Board, Row
from scores.rules.limits import NO_DEMAND, Demand, Left
from scores.rules.players import MAX_MS, Player
from scores.telemetry import metrics

logger = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT_S = 0.2
FAILURES_TO_OPEN = 2
OPEN_S = 1.0
#: Redis that was lost may come back without what was merged meanwhile, a ban for instance. For this time (s)
#: its board is not believed; until then the reconciler has compared it with the table.
DOUBT_S = 3.0
_SCRIPT = (Path(__file__).parent / "ranking.lua").read_text()
_SCANNED_AT_ONCE = 1000
_MEMBER_ID = len(f"{MAX_MS}#")

#: Set whenever Redis failed or came back: the reconciler has work before its next turn.
repair_wanted = threading.Event()


class RankingUnavailable(Exception):
    """Redis did not answer, or is being skipped because it did not answer just now."""


class Breaker:
    """Skips calls for OPEN_S after FAILURES_TO_OPEN failures in a row, then lets one probe through.

    `in_doubt` for DOUBT_S after that, and after every lost connection, as by a failover.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._opened_at = 0.0
        self._doubted_until = float("-inf")

    @property
    def in_doubt(self) -> bool:
        return self._clock() < self._doubted_until

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES_TO_OPEN

    @property
    def open_s(self) -> float:
        """How long (s) calls have been skipped; 0: they are not."""
        return self._clock() - self._opened_at if self.is_open else 0.0

    def before(self) -> None:
        """Raises RankingUnavailable while calls are skipped."""
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return
            if self._clock() < self._retry_at:
                raise RankingUnavailable("skipped after failures")
            self._retry_at = self._clock() + OPEN_S  # this caller is the probe

    def succeeded(self) -> None:
        if not self._failures:
            return
        with self._lock:
            was_open = self._failures >= FAILURES_TO_OPEN
            self._failures = 0
            if was_open:
                self._doubted_until = self._clock() + DOUBT_S
        if was_open:
            logger.warning("the ranking answers again")
            repair_wanted.set()

    def failed(self, *, lost: bool = False) -> None:
        """`lost`: the connection was, so that the next one may lead to another Redis."""
        with self._lock:
            self._failures += 1
            self._retry_at = self._clock() + OPEN_S
            if lost:
                self._doubted_until = self._clock() + DOUBT_S
            if self._failures == FAILURES_TO_OPEN:
                self._opened_at = self._clock()
                logger.warning("the ranking does not answer; it is skipped until it does")
        repair_wanted.set()


_breaker = Breaker()
metrics.watch(metrics.CACHE_DOWN, lambda: _breaker.is_open)


def in_doubt() -> bool:
    """Whether what the ranking shows may be older than what it showed before."""
    return _breaker.in_doubt


def away_s() -> float:
    """How long (s) this process has done without Redis; 0: it has not."""
    return _breaker.open_s


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def _guarded(call: Callable[[], T]) -> T:
    _breaker.before()
    try:
        with concurrency.waiting():
            result = call()
    except redis.RedisError as error:
        _breaker.failed(lost=isinstance(error, redis.ConnectionError))
        raise RankingUnavailable(type(error).__name__) from error
    _breaker.succeeded()
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class Merge:
    """What a merge did: how many players it knew in an older version, and the new revision, if any."""

    newer: int
    revision: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of one board, as of one generation of the table. Cheap to make.

    Every method raises RankingUnavailable when Redis does not answer within TIMEOUT_S.
    """

    generation: str
    board_id: str = BOARD_ID

    def _key(self, name: str) -> str:
        return f"scoreboard:{{{self.board_id}:{self.generation}}}:{name}"

    def _run(self, operation: str, *arguments: str | int, more: Iterable[str] = ()) -> Any:
        names = ("players", "ranking", "revision", "ready", "full", "floor", "epoch", *more)
        script = _script()
        keys = [self._key(name) for name in names]
        return _guarded(lambda: script(keys=keys, args=(operation, BOARD_SIZE, *arguments)))

    def merge(self, players: Iterable[Player]) -> Merge:
        """Merge stored players; older and equal versions change nothing."""
        arguments: list[str | int] = []
        for p in players:
            arguments += [p.user_id, p.version, p.score, p.reached_at, int(p.visible), p.name or ""]
        return _merge_of(self._run("merge", *arguments)) if arguments else Merge(0, None)

    def drop(self, versions: dict[str, int]) -> Merge:
        """Forget players the table does not have, unless they are at another version than `versions`."""
        arguments = [part for item in versions.items() for part in item]
        return _merge_of(self._run("drop", *arguments)) if arguments else Merge(0, None)

    def board(self) -> Board | None:
        """The visible board, or None while the ranking is not ready."""
        ready, revision, micros, *fields = self._run("board")
        if not ready:
            return None
        rows = tuple(
            Row(rank, user_id, name or None, int(score))
            for rank, (user_id, score, name) in enumerate(_in_threes(fields), start=1)
        )
        return Board(rows, int(revision), int(micros) // 1000)

    def guess(self, user_id: str, demand: Demand = NO_DEMAND) -> tuple[Player | None, int]:
        """The player as last merged, if visible (tombstones know too little), and the floor in force.

        Settles `demand` in the same call; raises RateLimited when one of its charges is refused.
        """
        if demand is NO_DEMAND:
            record, floor = self._run("guess", user_id)
            return _player_of(user_id, record), int(floor)
        arguments: list[int] = []
        for charge in demand.charges:
            arguments += (charge.limit.interval_us, charge.limit.burst)
        keys = [f"limit:{charge.key}" for charge in demand.charges]
        record, floor, *met = self._run("guess", user_id, *arguments, more=keys)
        demand.settle([Left(*each) for each in met])
        return _player_of(user_id, record), int(floor)

    def versions(self, user_ids: Sequence[str]) -> dict[str, int]:
        """The merged version of each player that is known, tombstones included."""
        if not user_ids:
            return {}
        records: Any = _guarded(lambda: _client().hmget(self._key("players"), list(user_ids)))
        return {u: int(r.split("|", 1)[0]) for u, r in zip(user_ids, records, strict=True) if r}

    def top(self, count: int, above: int = 0) -> list[str]:
        """The ids of the best `count` visible players, after leaving out the best `above`."""
        last = above + count - 1
        members: Any = _guarded(lambda: _client().zrevrange(self._key("ranking"), above, last))
        return [member[_MEMBER_ID:] for member in members]

    def size(self) -> int:
        """Number of visible players."""
        return int(_guarded(lambda: _client().zcard(self._key("ranking"))))

    def named(self, matches: Callable[[str], bool], most: int, within_s: float) -> tuple[list[str], bool]:
        """(ids, whether all players were looked at): at most `most` whose name matches, hidden ones too.

        Takes at most about `within_s`; in no order.
        """
        deadline = time.monotonic() + within_s
        found: dict[str, None] = {}
        cursor = 0
        while True:
            scan = functools.partial(_client().hscan, self._key("players"), cursor, count=_SCANNED_AT_ONCE)
            reply: Any = _guarded(scan)
            cursor, records = reply
            found.update((u, None) for u, r in records.items() if matches(r.split("|", 4)[4]))
            done = cursor == 0
            if done or len(found) > most or time.monotonic() > deadline:
                return list(found)[:most], done and len(found) <= most

    def place(self, player: Player) -> tuple[int | None, int | None]:
        """(rank, number of ranked players) of a merged player; (None, None) unless the ranking is full."""
        pipe = _client().pipeline(transaction=True)
        pipe.exists(self._key("full"))
        pipe.zrevrank(self._key("ranking"), player.member)
        pipe.zcard(self._key("ranking"))
        full, rank, total = _guarded(pipe.execute)
        if not full:
            return None, None
        return (None if rank is None else rank + 1), total

    def is_ready(self) -> bool:
        return bool(_guarded(lambda: _client().exists(self._key("ready"))))

    def is_full(self) -> bool:
        return bool(_guarded(lambda: _client().exists(self._key("full"))))

    def set_floor(self, floor: int) -> None:
        """Put `floor` in force for the next ten seconds."""
        self._run("floor", floor)

    def clear_floor(self) -> None:
        _guarded(lambda: _client().delete(self._key("floor")))

    def floor_age_s(self) -> float | None:
        age = self._run("floor_age")
        return int(age) / 1e6 if age else None

    def raise_revision(self, seen: int) -> int:
        """Make and return a revision above `seen`."""
        return int(self._run("raise", seen))

    def lock(self, name: str, milliseconds: int) -> str | None:
        """Take a lock that ends by itself; a token, or None when somebody else holds it."""
        token = secrets.token_hex(8)
        key = self._key(f"lock:{name}")
        return token if _guarded(lambda: _client().set(key, token, nx=True, px=milliseconds)) else None

    def keep(self, name: str, token: str, milliseconds: int) -> None:
        """Hold a lock for longer, or again if it has ended and nobody else has it."""
        self._run("keep", token, milliseconds, more=[f"lock:{name}"])

    def unlock(self, name: str, token: str) -> None:
        """Give a lock back, unless somebody else holds it by now."""
        self._run("unlock", token, more=[f"lock:{name}"])

    def epoch(self) -> str:
        """The name of this life of the data in Redis: another one after they were lost."""
        return str(self._run("epoch", secrets.token_hex(8)))

    def mark(self, epoch: str, *, full: bool) -> int | None:
        """Declare the ranking ready (and full), after merging what belongs there since `epoch()` was asked.

        Returns the new revision, or None when the data were lost meanwhile.
        """
        revision = self._run("mark", epoch, int(full))
        return int(revision) if revision else None


@functools.cache
def _script() -> Any:
    return _client().register_script(_SCRIPT)


def _merge_of(reply: Sequence[Any]) -> Merge:
    newer, revision = reply
    return Merge(int(newer), int(revision) if revision else None)


def _in_threes(fields: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    parts = iter(fields)
    return zip(parts, parts, parts, strict=True)


def _player_of(user_id: str, record: str) -> Player | None:
    if not record:
        return None
    version, score, reached_at, visible, name = record.split("|", 4)
    if visible != "1":
        return None
    return Player(user_id, int(score), int(version), int(reached_at), name or None)

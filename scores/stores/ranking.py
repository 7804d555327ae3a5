"""The ranking of one board in Redis: the only user of its keys. `ranking.lua` is the only writer."""

from __future__ import annotations

import dataclasses
import functools
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scores.rules.boards import BOARD_SIZE, Board, Row
from scores.rules.limits import NO_DEMAND, Demand, Left
from scores.rules.players import MAX_MS, Player
from scores.stores.cache import Cache

_SCANNED_AT_ONCE = 1000
_MEMBER_ID = len(f"{MAX_MS}#")


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

    cache: Cache
    board_id: str
    generation: str
    board_size: int = BOARD_SIZE

    def _key(self, name: str) -> str:
        return f"scoreboard:{{{self.board_id}:{self.generation}}}:{name}"

    def _run(self, operation: str, *arguments: str | int, more: Iterable[str] = ()) -> Any:
        names = ("players", "ranking", "revision", "ready", "full", "floor", "epoch", *more)
        script = self.cache.script
        keys = [self._key(name) for name in names]
        return self.cache.guarded(lambda: script(keys=keys, args=(operation, self.board_size, *arguments)))

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
        records: Any = self.cache.call(lambda client: client.hmget(self._key("players"), list(user_ids)))
        return {u: int(r.split("|", 1)[0]) for u, r in zip(user_ids, records, strict=True) if r}

    def top(self, count: int, above: int = 0) -> list[str]:
        """The ids of the best `count` visible players, after leaving out the best `above`."""
        last = above + count - 1
        members: Any = self.cache.call(lambda client: client.zrevrange(self._key("ranking"), above, last))
        return [member[_MEMBER_ID:] for member in members]

    def size(self) -> int:
        """Number of visible players."""
        return int(self.cache.call(lambda client: client.zcard(self._key("ranking"))))

    def named(self, matches: Callable[[str], bool], most: int, within_s: float) -> tuple[list[str], bool]:
        """(ids, whether all players were looked at): at most `most` whose name matches, hidden ones too.

        Takes at most about `within_s`; in no order.
        """
        deadline = time.monotonic() + within_s
        found: dict[str, None] = {}
        cursor = 0
        while True:
            scan = functools.partial(
                self.cache.client.hscan, self._key("players"), cursor, count=_SCANNED_AT_ONCE
            )
            reply: Any = self.cache.guarded(scan)
            cursor, records = reply
            found.update((u, None) for u, r in records.items() if matches(r.split("|", 4)[4]))
            done = cursor == 0
            if done or len(found) > most or time.monotonic() > deadline:
                return list(found)[:most], done and len(found) <= most

    def place(self, player: Player) -> tuple[int | None, int | None]:
        """(rank, number of ranked players) of a merged player; (None, None) unless the ranking is full."""
        pipe = self.cache.client.pipeline(transaction=True)
        pipe.exists(self._key("full"))
        pipe.zrevrank(self._key("ranking"), player.member)
        pipe.zcard(self._key("ranking"))
        full, rank, total = self.cache.guarded(pipe.execute)
        if not full:
            return None, None
        return (None if rank is None else rank + 1), total

    def is_ready(self) -> bool:
        return bool(self.cache.call(lambda client: client.exists(self._key("ready"))))

    def is_full(self) -> bool:
        return bool(self.cache.call(lambda client: client.exists(self._key("full"))))

    def set_floor(self, floor: int) -> None:
        """Put `floor` in force for the next ten seconds."""
        self._run("floor", floor)

    def clear_floor(self) -> None:
        self.cache.call(lambda client: client.delete(self._key("floor")))

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
        taken = self.cache.call(lambda client: client.set(key, token, nx=True, px=milliseconds))
        return token if taken else None

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

"""A model of DynamoDB's partitions under three ways to index a leaderboard.

As documented by AWS (developer guide: "Designing partition keys", "GSI write throttling and back
pressure"): a partition gives 1,000 write and 3,000 read units a second; an index has partitions of its
own, chosen by the index's keys; changing an indexed key deletes one index item and puts another; when
the index cannot take its part, the write to the table is refused. Where AWS says less, the model is
generous: an index partition key never shares its partition with another, tables have been warmed up,
and only those writes are refused that need the hot partition.

The keys are those of the product: `Player.rank_key`, `Player.contends` and the floor of the reconciler.
"""

from __future__ import annotations

import bisect
import heapq
import math
import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import NormalDist

from scores.rules.boards import DEFAULT_BOARD
from scores.rules.players import Player, increased
from scores.upkeep.floor import FLOOR_DUE_S
from scores.upkeep.rebuild import FLOOR_RANK

#: Units per second of one partition (reads: tools/research/simulation/reads.py).
WRITE_UNITS = 1000
#: An item of a transaction costs twice; an update writes the player and the ledger entry.
TRANSACTION_UNITS = 2
#: Share of a partition that a table kept warm for its traffic uses on average.
WARM_SHARE = 0.5

#: How much more (or less) than their activity says players have won: e to the power of this.
LUCK = NormalDist(0, 0.5)

#: (partition key, sort key) of a player's entry in the index, or None.
IndexKey = tuple[str, str] | None
#: The entry of a player while a floor is in force.
Design = Callable[[Player, int], IndexKey]


def constant(player: Player, floor: int) -> IndexKey:
    """All players under one partition key: the usual leaderboard index."""
    return (DEFAULT_BOARD, player.rank_key) if player.visible else None


def sharded(shards: int) -> Design:
    """The usual remedy: the partition key gets one of `shards` suffixes; a board is one query for each."""

    def entry(player: Player, floor: int) -> IndexKey:
        shard = zlib.crc32(player.user_id.encode()) % shards
        return (f"{DEFAULT_BOARD}#{shard}", player.rank_key) if player.visible else None

    return entry


def sparse(player: Player, floor: int) -> IndexKey:
    """Ours: only contenders are indexed, as PlayerTable.commit does it."""
    return (DEFAULT_BOARD, player.rank_key) if player.contends(floor) else None


class Partitions:
    """Write throughput of a table or an index, one bucket of a second's units for each partition.

    `splits` are sort keys at which every item collection is cut: what splitting for heat would have
    made of it.
    """

    def __init__(self, splits: tuple[str, ...] = ()) -> None:
        self.splits = splits
        self.used: Counter[tuple[str, int]] = Counter()  # this second

    def place(self, partition_key: str, sort_key: str = "") -> tuple[str, int]:
        return partition_key, bisect.bisect(self.splits, sort_key)

    def room(self, wanted: Counter[tuple[str, int]]) -> bool:
        return all(self.used[place] + units <= WRITE_UNITS for place, units in wanted.items())

    def take(self, wanted: Counter[tuple[str, int]]) -> None:
        self.used.update(wanted)

    def tick(self) -> None:
        """A second is over."""
        self.used.clear()


def index_writes(index: Partitions, before: IndexKey, after: IndexKey) -> Counter[tuple[str, int]]:
    """Units that each partition of the index is asked for when an item's keys change."""
    wanted: Counter[tuple[str, int]] = Counter()
    if before != after:
        for key in filter(None, (before, after)):
            wanted[index.place(*key)] += 1
    return wanted


@dataclass(frozen=True)
class Activity:
    """How often players play: the n-th player in proportion to 1/n, but none above `pace` updates a second.

    `rate` is the updates per second of all. With the pace of a human being, the hardest-playing ones
    are equally fast. Raises ValueError when so few cannot be that fast.
    """

    players: int
    rate: float
    pace: float
    head: float = field(init=False)

    def __post_init__(self) -> None:
        if self.rate > self.pace * self.players:
            raise ValueError(f"{self.players} players at {self.pace}/s make no {self.rate} updates/s")
        # The head players all play at full pace: rate = pace · head · (1 + ln(players / head)).
        low, high = 1e-9, float(self.players)
        for _ in range(100):
            middle = math.sqrt(low * high)
            spread = self.pace * middle * (1 + math.log(self.players / middle))
            low, high = (middle, high) if spread < self.rate else (low, middle)
        object.__setattr__(self, "head", max(1.0, low))

    def of(self, number: int) -> float:
        """Updates per second of the player with this number (from 0)."""
        total = self.head * (1 + math.log(self.players / self.head))
        return self.rate / total * self.head / max(number + 1, self.head)

    def pick(self, dice: random.Random) -> int:
        """The number of the next player to play."""
        whole = 1 + math.log(self.players / self.head)
        share = dice.random() * whole
        if share < 1:
            return int(share * self.head)
        return min(int(self.head * math.exp(share - 1)), self.players - 1)


@dataclass
class Outcome:
    """The result of some seconds of traffic."""

    offered: int = 0
    accepted: int = 0
    index_units: int = 0
    hottest: int = 0  # units of the busiest index partition in its busiest second

    @property
    def share(self) -> float:
        return self.accepted / self.offered

    @property
    def units_per_update(self) -> float:
        return self.index_units / max(1, self.accepted)


class World:
    """Players, a table, a ledger and an index, second by second.

    `season_s` is how long everybody has played before (0: all start with nothing). A refused update is
    not tried again: that would only add to the load. With `redis_away` on, the floor stays what the table
    records; with `floor_known` off there is none.
    """

    def __init__(
        self,
        activity: Activity,
        design: Design,
        *,
        season_s: float = 86_400,
        seed: int = 1,
        splits: tuple[str, ...] = (),
    ) -> None:
        self.activity, self.design = activity, design
        self.dice = random.Random(seed)
        self.season_s = season_s
        self.floor_known = True
        self.redis_away = False
        self.index = Partitions(splits)
        self.table = Partitions()
        units = TRANSACTION_UNITS * activity.rate
        self.table_partitions = max(4, math.ceil(units / WRITE_UNITS / WARM_SHARE))
        self.now = 0
        self.floor = 0
        self._players: dict[int, Player] = {}
        self._entries: dict[int, IndexKey] = {}
        self._contenders = self._first_contenders()
        self._set_floor()

    def run(self, seconds: int) -> Outcome:
        """So many seconds of traffic."""
        outcome = Outcome()
        for _ in range(seconds):
            self.now += 1
            if self.now % math.ceil(FLOOR_DUE_S) == 0 and not self.redis_away:
                self._set_floor()
            whole = int(self.activity.rate)
            for _ in range(whole + (self.dice.random() < self.activity.rate - whole)):
                self._update(self.activity.pick(self.dice), outcome)
            outcome.hottest = max(outcome.hottest, max(self.index.used.values(), default=0))
            self.index.tick()
            self.table.tick()
        return outcome

    def _update(self, number: int, outcome: Outcome) -> None:
        outcome.offered += 1
        before = self.player(number)
        after = increased(before, self.dice.randint(1, 10), self.now * 1000 + self.dice.randrange(1000))
        old = self._entry(number, before)
        new = self.design(after, self.floor if self.floor_known else 0)
        index_wanted = index_writes(self.index, old, new)
        # The ledger is keyed by the same user id and written as often: its partitions fare alike.
        place = self.table.place(str(zlib.crc32(before.user_id.encode()) % self.table_partitions))
        table_wanted = Counter({place: TRANSACTION_UNITS})
        if not self.table.room(table_wanted) or not self.index.room(index_wanted):
            return
        self.table.take(table_wanted)
        self.index.take(index_wanted)
        self._players[number], self._entries[number] = after, new
        if after.score >= self.floor:
            self._contenders[number] = after.score
        outcome.accepted += 1
        outcome.index_units += index_wanted.total()

    def player(self, number: int) -> Player:
        """The player with this number in the order of activity, as the table has it."""
        found = self._players.get(number)
        return found or Player(f"player-{number}", self._score_so_far(number), 1, 0)

    def _entry(self, number: int, player: Player) -> IndexKey:
        return self._entries[number] if number in self._entries else self.design(player, self._first_floor)

    def _score_so_far(self, number: int) -> int:
        """The score from the season so far: in proportion to the player's activity, with luck."""
        drawn = (zlib.crc32(number.to_bytes(8, "big")) + 0.5) / 2**32
        luck = math.exp(LUCK.inv_cdf(drawn))
        return int(self.activity.of(number) * self.season_s * 5.5 * luck)

    def _first_contenders(self) -> dict[int, int]:
        candidates = min(self.activity.players, max(20_000, int(5 * self.activity.head)))
        scores = ((self._score_so_far(number), number) for number in range(candidates))
        best = heapq.nlargest(FLOOR_RANK, scores) if self.season_s else []
        self._first_floor = best[-1][0] if best else 0
        return {number: score for score, number in best}

    def _set_floor(self) -> None:
        """As the reconciler: the score at rank FLOOR_RANK."""
        best = heapq.nlargest(FLOOR_RANK, self._contenders.items(), key=lambda item: item[1])
        if len(best) == FLOOR_RANK:
            self.floor = best[-1][1]
            self._contenders = {n: s for n, s in self._contenders.items() if s >= self.floor}

"""Read units that server processes ask of DynamoDB, by the numbers of the code: a sum, not a simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from realtime.process import RECONCILE_EVERY_S
from scores.board.index_board import GOOD_FOR_S, NOMINEES
from scores.upkeep.floor import FLOOR_DUE_S
from scores.upkeep.rebuild import FLOOR_RANK
from scores.upkeep.reconcile import NOMINATED

#: Units per second of one partition.
READ_UNITS = 3000
#: A unit reads this many bytes consistently, or twice as many eventually so.
UNIT_BYTES = 4096
#: An entry of the index: two keys of the table, and two of its own.
ENTRY_BYTES = 160


def query_units(items: int) -> float:
    """An eventually consistent query of the index for so many entries."""
    return math.ceil(items * ENTRY_BYTES / UNIT_BYTES) / 2


@dataclass(frozen=True)
class Reads:
    """Units per second: of the table's own item (generation and floor), of the partition of the index, and
    of the busiest player's item."""

    state: float
    index: float
    player: float

    @property
    def share(self) -> float:
        """The busiest of them, as a share of what a partition gives."""
        return max(self.state, self.index, self.player) / READ_UNITS


def with_redis(processes: int) -> Reads:
    """Each process reads the table's item; one of them compares the ranking with the table."""
    rounds = query_units(NOMINATED) / RECONCILE_EVERY_S + query_units(FLOOR_RANK) / FLOOR_DUE_S
    return Reads(processes / RECONCILE_EVERY_S, rounds, 1 / RECONCILE_EVERY_S + 1 / FLOOR_DUE_S)


def without_redis(processes: int) -> Reads:
    """Each process makes its board from the index and the items of the players it names."""
    boards = processes / GOOD_FOR_S
    return Reads(processes / RECONCILE_EVERY_S, boards * query_units(NOMINEES), boards)

"""The catalogue of metrics, and the one way to record them. Imports nothing of ours.

This file is what dashboards and alarms are made from. Recording is free of locks and nearly free of
cost, so it may be done anywhere but once per socket; scores/telemetry/emf.py adds up and writes out.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from enum import StrEnum

#: The dimension of a metric that is counted by code as well as in all.
CODE = "Code"
#: Records that wait to be added up, which happens once a second: more than a process can make in that time.
PENDING_MAX = 100_000


class Kind(StrEnum):
    """What the numbers are, and with which CloudWatch statistic they make sense."""

    #: Happenings since the last line, all processes together: `Sum`. Written also when there were none.
    COUNT = "count"
    #: How it is in each process right now: `Average`, `Maximum`; for all of them `Average` times processes.
    LEVEL = "level"
    #: How long something took: `p50`, `p99`, `Maximum`. A line holds 100 at most (scores/telemetry/emf.py).
    TIME = "time"


class Source(StrEnum):
    """Which process writes a metric."""

    WEB = "web"
    PROBE = "probe"


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """One metric: its CloudWatch name and unit, and what it says. `by_code`: also with the dimension CODE."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    source: Source = Source.WEB
    by_code: bool = False


UPDATES_ACCEPTED = Metric("UpdatesAccepted", Kind.COUNT, "Count", "updates that counted")
UPDATES_REPLAYED = Metric(
    "UpdatesReplayed", Kind.COUNT, "Count", "updates that had been accepted before: the same answer again"
)
UPDATES_REFUSED = Metric(
    "UpdatesRefused", Kind.COUNT, "Count", "updates answered with an error, by its code", by_code=True
)
UPDATE_TIME = Metric(
    "UpdateTime", Kind.TIME, "Milliseconds", "an accepted update, from its last byte to the answer"
)
LEDGER_CONFLICTS = Metric(
    "LedgerConflicts", Kind.COUNT, "Count", "tries of an update that another writer was faster than; repeated"
)
BOARD_CHANGES = Metric("BoardChanges", Kind.COUNT, "Count", "new revisions of the board")
FAN_OUT_TIME = Metric(
    "FanOutTime",
    Kind.TIME,
    "Milliseconds",
    "a new board in one process, from beginning to read it to the last socket",
)
OPEN_SOCKETS = Metric("OpenSockets", Kind.LEVEL, "Count", "viewers of a process")
BEHIND_SOCKETS = Metric(
    "BehindSockets", Kind.LEVEL, "Count", "viewers who have not yet taken what they were sent"
)
RANKING_REPAIRS = Metric(
    "RankingRepairs",
    Kind.COUNT,
    "Count",
    "players whose lost merge was repaired: 0 in normal life",
)
MERGES_LEFT = Metric(
    "MergesLeft", Kind.COUNT, "Count", "players whose merge the cache did not take, left to the reconciler"
)
CACHE_DOWN = Metric("CacheDown", Kind.LEVEL, "Count", "1 while a process does without the cache, else 0")
BOARD_DIFFERENCE_AGE = Metric(
    "BoardDifferenceAge",
    Kind.LEVEL,
    "Seconds",
    "for how long a socket has shown something else than the table says; 0: the same",
    Source.PROBE,
)
PROBE_FAILURES = Metric(
    "ProbeFailures", Kind.COUNT, "Count", "looks of the probe that saw no board or no table", Source.PROBE
)

CATALOGUE: tuple[Metric, ...] = tuple(each for each in globals().values() if isinstance(each, Metric))

#: What was recorded and not added up yet: (metric, code, value). Appending to a deque is atomic.
pending: deque[tuple[Metric, str | None, float]] = deque(maxlen=PENDING_MAX)
#: Where the levels are read from.
levels: dict[Metric, Callable[[], float | None]] = {}
_on = False


def switch(on: bool) -> None:
    """Whether anything is recorded; off until scores/telemetry/emf.py begins to write."""
    global _on
    _on = on


def record(metric: Metric, value: float = 1, code: str | None = None) -> None:
    """`value` happenings of a COUNT (of this `code`), or a TIME that took `value` ms."""
    if _on:
        pending.append((metric, code, value))


def watch(metric: Metric, read: Callable[[], float | None]) -> None:
    """Ask `read` for this LEVEL whenever metrics are written, in the writer's thread. It must not block.

    None: it is not known right now, and not written.
    """
    levels[metric] = read

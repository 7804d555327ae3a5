"""The catalogue of metrics, and the functions that record them. Imports nothing of ours.

Dashboards and alarms are made from this file. Recording takes no lock and about a microsecond, so any code
may do it, except once per socket. scores/telemetry/emf.py adds up the values and writes them.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from enum import StrEnum

#: The dimension of metrics that are counted by code as well as in total.
CODE = "Code"
#: Recorded values that wait to be added up once a second. A process cannot make more in that time.
PENDING_MAX = 100_000


class Kind(StrEnum):
    """The meaning of the values, and the CloudWatch statistics to use."""

    #: Events since the last line, of all processes together: `Sum`. Written also when there were none.
    COUNT = "count"
    #: The current state of each process: `Average`, `Maximum`. The total is `Average` times processes.
    LEVEL = "level"
    #: A duration: `p50`, `p99`, `Maximum`. A line holds 100 at most (scores/telemetry/emf.py).
    TIME = "time"


class Source(StrEnum):
    """The process that writes a metric."""

    WEB = "web"
    PROBE = "probe"


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """One metric: its CloudWatch name, unit and meaning. `by_code`: also with the dimension CODE."""

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
    "LedgerConflicts", Kind.COUNT, "Count", "tries of an update that lost to another writer and were repeated"
)
BOARD_CHANGES = Metric("BoardChanges", Kind.COUNT, "Count", "new revisions of the board")
FAN_OUT_TIME = Metric(
    "FanOutTime",
    Kind.TIME,
    "Milliseconds",
    "a new board in one process, from the start of its read to the last socket",
)
OPEN_SOCKETS = Metric("OpenSockets", Kind.LEVEL, "Count", "viewers of a process")
BEHIND_SOCKETS = Metric(
    "BehindSockets", Kind.LEVEL, "Count", "viewers with frames that they have not read yet"
)
RANKING_REPAIRS = Metric(
    "RankingRepairs",
    Kind.COUNT,
    "Count",
    "players whose lost merge was repaired; normally 0",
)
MERGES_LEFT = Metric(
    "MergesLeft", Kind.COUNT, "Count", "players whose merge failed and is left to the reconciler"
)
CACHE_DOWN = Metric("CacheDown", Kind.LEVEL, "Count", "1 while a process works without the cache, else 0")
BOARD_DIFFERENCE_AGE = Metric(
    "BoardDifferenceAge",
    Kind.LEVEL,
    "Seconds",
    "how long a socket has shown a board that differs from the table; 0: no difference",
    Source.PROBE,
)
PROBE_FAILURES = Metric(
    "ProbeFailures",
    Kind.COUNT,
    "Count",
    "runs of the probe without a board or a table",
    Source.PROBE,
)

CATALOGUE: tuple[Metric, ...] = tuple(each for each in globals().values() if isinstance(each, Metric))

#: Recorded values that are not added up yet: (metric, code, value). Appending to a deque is atomic.
pending: deque[tuple[Metric, str | None, float]] = deque(maxlen=PENDING_MAX)
#: The functions that read the levels.
levels: dict[Metric, Callable[[], float | None]] = {}
_on = False


def switch(on: bool) -> None:
    """Turn recording on or off. It is off until scores/telemetry/emf.py starts to write."""
    global _on
    _on = on


def record(metric: Metric, value: float = 1, code: str | None = None) -> None:
    """Record `value` events of a COUNT (with this `code`), or a TIME of `value` ms."""
    if _on:
        pending.append((metric, code, value))


def watch(metric: Metric, read: Callable[[], float | None]) -> None:
    """Call `read` for this LEVEL whenever metrics are written, in the writer's thread. It must not block.

    The level is not written when `read` returns None.
    """
    levels[metric] = read

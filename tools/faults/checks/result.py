"""The result of a scenario."""

from __future__ import annotations

import dataclasses

from tools.faults.checks.evidence import Violation
from tools.faults.traffic.journal import Attempt

#: Between acknowledgements of writers that keep on trying; longer counts as unavailable (s).
UNAVAILABLE_S = 1.0


@dataclasses.dataclass(frozen=True)
class Result:
    """A line of the table. Times in s, memory in MiB."""

    name: str
    title: str
    attempted: int
    acknowledged: int
    counted: int
    lost: int
    doubled: int
    unavailable_s: float
    converged_p50_s: float | None
    converged_max_s: float | None
    memory_mib: float
    share_503: float
    seconds: float
    violations: list[Violation]
    notes: list[str]


def unavailable_s(attempts: list[Attempt], began: float, ended: float) -> float:
    """Sum of the times without an acknowledgement that are longer than UNAVAILABLE_S."""
    times = sorted(at for a in attempts if (at := a.acknowledged_at) is not None)
    gaps = [b - a for a, b in zip([began, *times], [*times, ended], strict=True)]
    return sum(gap for gap in gaps[:-1] if gap > UNAVAILABLE_S)

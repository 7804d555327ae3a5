"""A scenario: one fault, as a function of a running Run.

While writers write and pages watch it does something to the stage. When it returns, everything is healed,
and the invariants are checked (tools/faults/checks/checker.py). What it expects besides them it says with
`run.expect`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tools.faults.run import Run


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A fault by its name in docs/reliability.md; `options` are those of Run."""

    name: str
    title: str
    work: Callable[[Run], None]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


def scenario(name: str, title: str, **options: Any) -> Callable[[Callable[[Run], None]], Scenario]:
    """Make a function a Scenario."""
    return lambda work: Scenario(name, title, work, options)


def expect_served(run: Run, since: float) -> None:
    """The board was to be had all the time."""
    failed = [p for p in list(run.watch.probes) if p.began > since and p.status != 200]
    run.expect(not failed, f"{len(failed)} looks at the board failed: {failed[:1]}")


def expect_writes(run: Run, since: float) -> None:
    statuses = run.statuses(since)
    run.expect(set(statuses) == {200}, f"writes are accepted all the time, not {statuses}")

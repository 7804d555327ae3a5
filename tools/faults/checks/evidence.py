"""The evidence of a scenario: everything observed from one healed state to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tools.faults.checks.truth import Entry, Rows, Truth
from tools.faults.checks.watch import Probe, Read, Resources
from tools.faults.traffic.journal import Attempt
from tools.faults.traffic.viewers import Page


@dataclasses.dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, and where; `timed`: within a time that a busy machine may break."""

    invariant: str
    what: str
    timed: bool = False

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@dataclasses.dataclass(frozen=True, slots=True)
class Moderated:
    """A moderation action, first tried at `began` and answered at `answered_at`; None: it was not.

    `amount` is of an adjust.
    """

    player: str
    action: str
    entry_id: str
    began: float
    answered_at: float | None
    amount: int = 0


@dataclasses.dataclass
class Evidence:
    """All that is known about one scenario. Times are of time.monotonic (s).

    `ranking` is the Top 10 in Redis after the end, `ranking_after_s` and `pages_after_s` how long it
    took until it, and each page, showed the table's (None: it did not); `caught_up_s` how long after the
    healing each page had what the table had at that moment.
    `late_s`: by how much our own clock was late, at most.
    """

    before: Truth
    after: Truth
    attempts: list[Attempt]
    ranking: Rows = ()
    ranking_after_s: float | None = 0.0
    pages: Sequence[Page] = ()
    pages_after_s: dict[str, float | None] = dataclasses.field(default_factory=dict)
    caught_up_s: dict[str, float | None] = dataclasses.field(default_factory=dict)
    reads: list[Read] = dataclasses.field(default_factory=list)
    probes: list[Probe] = dataclasses.field(default_factory=list)
    actions: list[Moderated] = dataclasses.field(default_factory=list)
    log: list[str] = dataclasses.field(default_factory=list)
    resources: list[Resources] = dataclasses.field(default_factory=list)
    resources_before: list[Resources] = dataclasses.field(default_factory=list)
    resources_after: list[Resources] = dataclasses.field(default_factory=list)
    late_s: float = 0.0
    keys_before: int = 0
    keys_after: int = 0
    limits: Limits = dataclasses.field(default_factory=lambda: Limits())

    def updates(self) -> Iterator[Entry]:
        """The ledger's updates that are new."""
        for player, entries in self.after.ledger.items():
            old = len(self.before.ledger.get(player, ()))
            yield from (entry for entry in entries[old:] if entry.kind == "update")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Upper limits of a process (I8): MiB of memory, threads, open files."""

    memory_mib: float = 400.0
    threads: int = 150
    files: int = 4000


def lost(evidence: Evidence) -> list[Attempt]:
    """Acknowledged updates that are not in the ledger."""
    counted = {(entry.user_id, entry.entry_id) for entry in evidence.updates()}
    return [a for a in evidence.attempts if a.acknowledged and (a.player, a.key) not in counted]


def doubled(evidence: Evidence) -> int:
    """How often too much counts: entries that nobody sent, and players with more than their ledger."""
    sent = {(a.player, a.key): a for a in evidence.attempts}
    extra = sum((entry.user_id, entry.entry_id) not in sent for entry in evidence.updates())
    beyond = 0
    for user_id, player in evidence.after.players.items():
        entries = evidence.after.ledger.get(user_id, [])
        beyond += player.score > sum(entry.increment for entry in entries)
    return extra + beyond

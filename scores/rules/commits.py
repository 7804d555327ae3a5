"""One write to the record, and the ways in which it can fail. Imports the other rules only.

CommitFailed
├── EntryExists   the ledger already has the entry: nothing was written
├── PlayerMoved   the player is at another version, or banned: nothing was written
├── Contended     another transaction holds the player right now: nothing was written
└── Undecided     no answer arrived: it may have been written, or may still be
"""

from __future__ import annotations

import dataclasses

from scores.rules.entries import Entry
from scores.rules.players import Player


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """One transaction: put `entry` if it is new, and `player` if the table still has `known`.

    `at` is the time of the write (ms), which decides whether a ban has ended.
    """

    entry: Entry
    player: Player
    known: Player
    at: int


class CommitFailed(Exception):
    """A transaction did not end in a plain success."""


class EntryExists(CommitFailed):
    """`entry` is the one that the ledger has."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.entry_id)
        self.entry = entry


class PlayerMoved(CommitFailed):
    """`player` is what the table has."""

    def __init__(self, player: Player) -> None:
        super().__init__(player.user_id)
        self.player = player


class Contended(CommitFailed):
    """Read the player again, then try again."""


class Undecided(CommitFailed):
    """The entry's id admits one write, so the same commit may be tried again."""

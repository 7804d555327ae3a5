"""How one write is settled: a state machine without I/O.

`settle` is a generator. It yields what to do next and is sent what came back, or has an error thrown in:

    ReadPlayer   → the player as the table has it        | Unavailable, Throttled
    ReadEntry    → the ledger's entry of this write, or None | Unavailable, Throttled
    Commit       → None: it is written                   | CommitFailed, Unavailable, Throttled
    Wait         → None, after about that many seconds

It returns how the write was settled, or raises the reason why not. The same rules serve players' updates and
moderation: a `Change` says what differs. Whoever drives it (scores.board.writing) does the I/O.

The rules:
- The entry's id admits one write. So a commit whose answer was lost may be tried again.
- A refusal counts only if the player is known for certain and the ledger has no entry of this write.
- After a commit without an answer, "nothing was changed" is said only when the player has moved past the
  version that the commit was for. Otherwise the outcome is unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Protocol

from scores.rules.commits import Commit, Contended, EntryExists, PlayerMoved, Undecided
from scores.rules.entries import Entry
from scores.rules.errors import Conflict, OutcomeUnknown, ScoreboardError, Throttled, Unavailable
from scores.rules.players import Player

#: Waits between tries double from the first to the last (s).
FIRST_WAIT_S, LAST_WAIT_S = 0.01, 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class ReadPlayer:
    """Read the player consistently."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReadEntry:
    """Read the ledger's entry of this write consistently."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Wait for about this long."""

    seconds: float


Step = ReadPlayer | ReadEntry | Commit | Wait


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """A write that is in the ledger.

    `player` is the player at or after the entry's version; None: there was no time left to read it.
    `replayed`: an earlier call wrote the entry.
    """

    entry: Entry
    player: Player | None
    replayed: bool


class Change(Protocol):
    """What differs between one kind of write and another."""

    @property
    def user_id(self) -> str:
        """The player to write."""

    @property
    def entry_id(self) -> str:
        """The id of the ledger entry, which makes a repetition the same write."""

    def plan(self, known: Player, at: int) -> Commit:
        """The commit that makes this change of `known` at `at` (ms). Raises ScoreboardError: a refusal."""

    def check_entry(self, entry: Entry) -> None:
        """Raises KeyReused when the entry is not of this very change."""

    def outcome_unknown(self) -> OutcomeUnknown:
        """What to tell the caller when it is not known whether the change was written."""


Reply = Player | Entry | None
Steps = Generator[Step, Reply, Settled]


def settle(
    change: Change,
    *,
    known: Player | None,
    certain: bool,
    deadline: float,
    call_s: float,
    clock: Callable[[], float],
    now_ms: Callable[[], int],
) -> Steps:
    """Settle one write by `deadline` (of `clock`, s), with calls to the table that take `call_s` at most.

    `known` is the player as far as it is known, `certain` if the table was just read; None: read it first.

    Raises the change's refusal or KeyReused (nothing was changed); Conflict, Throttled or Unavailable
    (nothing was changed, try again); OutcomeUnknown.
    """
    return _Write(change, known, certain, deadline, call_s, clock, now_ms).run()


@dataclasses.dataclass(slots=True)
class _Write:
    change: Change
    known: Player | None
    certain: bool
    deadline: float
    call_s: float
    clock: Callable[[], float]
    now_ms: Callable[[], int]
    wait_s: float = FIRST_WAIT_S
    #: The version that a commit without an answer was for; None: no commit of this write can still land.
    undecided_at: int | None = None
    failure: ScoreboardError = dataclasses.field(default_factory=Unavailable)

    def run(self) -> Steps:
        try:
            while self._has_time(1 if self.undecided_at is None else 2):  # the second, to look for the entry
                settled = yield from self._try()
                if settled is not None:
                    return settled
            return (yield from self._give_up())
        except Unavailable as error:
            if self.undecided_at is None or isinstance(error, OutcomeUnknown):
                raise
            raise self.change.outcome_unknown() from error

    def _has_time(self, calls: int) -> bool:
        """Whether so many calls that get no answer would be over by the deadline."""
        return self.clock() + calls * self.call_s <= self.deadline

    def _try(self) -> Generator[Step, Reply, Settled | None]:
        """One try. None: there may be another."""
        if self.known is None:
            self.known, self.certain = (yield from _read_player()), True
            return None  # the read took time: there may be none left for a commit
        try:
            commit = self.change.plan(self.known, self.now_ms())
        except ScoreboardError as refusal:
            return (yield from self._refused(refusal, self.known))
        try:
            yield commit
        except EntryExists as exists:
            return (yield from self._written_before(exists.entry))
        except PlayerMoved as moved:
            self._moved(moved.player)
        except Contended:
            self.known = None
            yield from self._wait(Conflict())
        except Throttled as throttled:
            yield from self._wait(throttled)
        except Undecided:
            self.undecided_at = self.known.version
            if self._has_time(2):
                yield from self._wait(OutcomeUnknown())
        else:
            return Settled(commit.entry, commit.player, replayed=False)
        return None

    def _refused(self, refusal: ScoreboardError, known: Player) -> Generator[Step, Reply, Settled | None]:
        if not self.certain:
            self.known = None
            return None
        entry = yield from _read_entry()
        if entry is not None:
            return (yield from self._written_before(entry))
        if self.undecided_at is not None and known.version <= self.undecided_at:
            raise self.change.outcome_unknown() from refusal
        raise refusal

    def _moved(self, player: Player) -> None:
        self.known, self.certain, self.failure = player, True, Conflict()
        if self.undecided_at is not None and player.version > self.undecided_at:
            self.undecided_at = None  # that commit was for an older version: it cannot be written any more

    def _wait(self, failure: ScoreboardError) -> Generator[Step, Reply, None]:
        self.failure = failure
        yield Wait(min(self.wait_s, max(0.0, self.deadline - self.clock())))
        self.wait_s = min(2 * self.wait_s, LAST_WAIT_S)

    def _give_up(self) -> Steps:
        if self.undecided_at is None:
            raise self.failure
        entry = (yield from _read_entry()) if self._has_time(1) else None
        if entry is None:
            raise self.change.outcome_unknown()
        return (yield from self._written_before(entry))

    def _written_before(self, entry: Entry) -> Steps:
        """The ledger has the entry. Its merge may have been lost, so read the player again."""
        self.change.check_entry(entry)
        player = self.known
        if player is None or player.version < entry.version:
            player = yield from self._player_if_possible()
        # After a commit without an answer, that commit most likely wrote the entry.
        return Settled(entry, player, replayed=self.undecided_at is None)

    def _player_if_possible(self) -> Generator[Step, Reply, Player | None]:
        if not self._has_time(1):
            return None
        try:
            return (yield from _read_player())
        except Unavailable:
            return None


def _read_player() -> Generator[Step, Reply, Player]:
    player = yield ReadPlayer()
    if not isinstance(player, Player):
        raise TypeError(f"a player was expected, not {player!r}")
    return player


def _read_entry() -> Generator[Step, Reply, Entry | None]:
    entry = yield ReadEntry()
    if isinstance(entry, Player):
        raise TypeError(f"an entry was expected, not {entry!r}")
    return entry

"""Moderating, and what players may change about themselves besides the score.

Each is one transaction with its ledger entry. Updates use the same write protocol.
"""

from __future__ import annotations

import dataclasses

from scores.board.merging import insist, merge
from scores.board.scoreboard import Scoreboard
from scores.board.writing import one_at_a_time, write
from scores.moderation.requests import ModerationRequest, checked_request, new_entry_id
from scores.rules import audit_trail
from scores.rules.actions import Action, moderated
from scores.rules.commits import Commit
from scores.rules.entries import Entry
from scores.rules.errors import Banned, KeyReused, OutcomeUnknown, Refused, VersionMoved
from scores.rules.names import clean_name
from scores.rules.players import Player, RuleError


def moderate(
    scoreboard: Scoreboard,
    *,
    user_id: str,
    action: Action,
    actor: str,
    reason: str,
    expected_version: int | None,
    entry_id: str | None = None,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> Player:
    """One moderation action, in one transaction with its ledger entry; the player as it is then.

    `expected_version` is the version the moderator looked at; None: whatever the player is like now.
    `entry_id` (`MOD#…`) makes a repeated call the same action. `amount` is for adjust (not 0), `name` for
    rename (None: no name), `until` (ms) for ban (None: for good).

    Raises Invalid (the arguments make no sense), KeyReused (the entry is of another action), VersionMoved
    (the player has changed), Refused (a rule forbids it; or there is no such player); Throttled, Conflict,
    Unavailable (nothing was changed); OutcomeUnknown (try again with the same entry id).
    """
    request = checked_request(
        user_id=user_id,
        action=action,
        actor=actor,
        reason=reason,
        entry_id=entry_id,
        amount=amount,
        name=name,
        until=until,
    )
    player = _carry_out(scoreboard, _Moderation(request, expected_version))
    insist(scoreboard, [player])
    return player


def rename(scoreboard: Scoreboard, *, user_id: str, name: str | None) -> str | None:
    """A player chooses a display name, or none (None); the name that is shown from now on.

    Raises BadName, Banned, Refused (an erased player); Throttled, Conflict or Unavailable (nothing was
    changed), OutcomeUnknown (try again: the same name twice is the same as once).
    """
    name = None if name is None else clean_name(name)
    request = ModerationRequest(user_id, Action.RENAME, user_id, "", new_entry_id(), name=name)
    try:
        merge(scoreboard, [_carry_out(scoreboard, _OwnName(request))])
    except _SameName:
        pass
    return name


# --- The changes that `write` settles ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Moderation:
    request: ModerationRequest
    expected_version: int | None = None

    @property
    def user_id(self) -> str:
        return self.request.user_id

    @property
    def entry_id(self) -> str:
        return self.request.entry_id

    def plan(self, known: Player, at: int) -> Commit:
        """Raises VersionMoved or Refused."""
        if self.expected_version not in (None, known.version):
            raise VersionMoved
        return _commit_of(self.request, known, player_after(self.request, known, at), at)

    def check_entry(self, entry: Entry) -> None:
        if not self.request.is_done_by(entry):
            raise KeyReused("This id belongs to another action. Start anew.")

    def outcome_unknown(self) -> OutcomeUnknown:
        entry_id = self.request.entry_id
        return OutcomeUnknown(
            f"It is not known whether this was done. Try again with the id {entry_id}: it is done once."
        )


class _SameName(Refused):
    """The player is called that already."""


@dataclasses.dataclass(frozen=True, slots=True)
class _OwnName(_Moderation):
    """A player's own choice; a new player may choose a name before the first update."""

    def plan(self, known: Player, at: int) -> Commit:
        """Raises Banned, _SameName or Refused."""
        if known.is_banned(at):
            raise Banned
        if known.name == self.request.name:
            raise _SameName
        return _commit_of(self.request, known, _changed(self.request, known, at), at)

    def outcome_unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown("It is not known whether the name has changed. Try again.")


def _carry_out(scoreboard: Scoreboard, change: _Moderation) -> Player:
    """The player at or after the change."""
    with one_at_a_time(scoreboard, change.user_id) as deadline:
        settled = write(scoreboard, change, floor=scoreboard.floor, deadline=deadline)
    if settled.player is None:
        raise change.outcome_unknown()
    return settled.player


def _commit_of(request: ModerationRequest, known: Player, player: Player, at: int) -> Commit:
    # The entry of an erasure never holds what is being erased.
    before = dataclasses.replace(known, name=None) if request.action is Action.ERASE else known
    entry = Entry(
        user_id=request.user_id,
        entry_id=request.entry_id,
        kind=request.action.value,
        increment=player.score - known.score,
        new_score=player.score,
        version=player.version,
        at=at,
        previous_at=known.reached_at,
        actor=request.actor,
        reason=request.reason,
        before=audit_trail.summary(before),
        after=audit_trail.summary(player),
    )
    return Commit(entry, player, known, at)


def player_after(request: ModerationRequest, known: Player, at: int) -> Player:
    """`known` after the action at `at` (ms). Raises Refused."""
    if not known.version:
        raise Refused("There is no player with this id.")
    return _changed(request, known, at)


def _changed(request: ModerationRequest, known: Player, at: int) -> Player:
    try:
        return moderated(
            known, request.action, at, amount=request.amount, name=request.name, until=request.until
        )
    except RuleError as error:
        raise Refused(str(error)) from error

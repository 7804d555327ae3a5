"""Moderating, and what players may change about themselves besides the score: one transaction each,
with its ledger entry.
"""

from __future__ import annotations

import json
import time

from ulid import ULID

from scores import repository, scoring, services
from scores.errors import Banned, Conflict, OutcomeUnknown, Refused, Unavailable, VersionMoved
from scores.merging import current_ranking, merge, recorded_floor
from scores.names import clean_name
from scores.ranking import RankingUnavailable
from scores.scoring import Action, Entry, Player


def moderate(
    *,
    user_id: str,
    action: Action,
    actor: str,
    reason: str,
    expected_version: int,
    entry_id: str | None = None,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> Player:
    """One moderation action, in one transaction with its ledger entry; the player after it.

    `expected_version` is the version the moderator looked at. `entry_id` (`MOD#…`) makes a repeated
    call the same action. `amount` is for adjust, `name` for rename, `until` (ms) for ban.

    Raises VersionMoved (the player has changed), Refused (a rule forbids it), Throttled, Conflict,
    Unavailable (nothing was changed), OutcomeUnknown.
    """
    now = services.now_ms()
    entry_id = entry_id or f"MOD#{ULID()}"
    known = services.read_player(user_id)
    done = repository.read_entry(user_id, entry_id)
    if done is not None:
        merge([known])
        return known
    if known.version != expected_version:
        raise VersionMoved
    try:
        player = scoring.moderated(known, action, now, amount=amount, name=name, until=until)
    except scoring.RuleError as error:
        raise Refused(str(error)) from error
    entry = Entry(
        user_id=user_id,
        entry_id=entry_id,
        kind=action.value,
        increment=player.score - known.score,
        new_score=player.score,
        version=player.version,
        at=now,
        previous_at=known.reached_at,
        actor=actor,
        reason=reason,
        before=_summary(known),
        after=_summary(player),
    )
    try:
        repository.commit(entry, player, known, floor=_floor(), now=now)
    except repository.EntryExists:
        player = services.read_player(user_id)
    except repository.PlayerMoved as moved:
        raise VersionMoved from moved
    except repository.Contended as contended:
        raise Conflict from contended
    except repository.Undecided as undecided:
        try:
            done = repository.read_entry(user_id, entry_id)
        except Unavailable:
            done = None
        if done is None:
            raise OutcomeUnknown from undecided
        player = services.read_player(user_id)
    merge([player])
    return player


def rename(*, user_id: str, name: str | None) -> str | None:
    """A player chooses a display name, or none (None); the name that is shown from now on.

    Raises BadName, Banned, Refused (an erased player); Throttled, Conflict or Unavailable (nothing was
    changed), OutcomeUnknown (try again: the same name twice is the same as once).
    """
    name = None if name is None else clean_name(name)
    deadline = time.monotonic() + services.DEADLINE_S
    while True:
        player = services.read_player(user_id)
        if player.is_banned(services.now_ms()):
            raise Banned
        if player.name == name:
            return name
        try:
            moderate(
                user_id=user_id,
                action=Action.RENAME,
                actor=user_id,
                reason="",
                expected_version=player.version,
                name=name,
            )
            return name
        except (VersionMoved, Conflict):  # the player scores at this moment
            if time.monotonic() > deadline:
                raise Conflict from None
        services.pause(0.05, deadline)


def _summary(player: Player) -> str:
    return json.dumps(
        {
            "score": player.score,
            "name": player.name,
            "state": player.state.value,
            "bannedUntil": player.banned_until,
        }
    )


def _floor() -> int:
    try:
        return current_ranking().guess("")[1]
    except RankingUnavailable:
        return recorded_floor()

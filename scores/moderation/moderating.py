"""Moderating, and what players may change about themselves besides the score: one transaction each,
with its ledger entry.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable

from scores.board import services
from scores.board.index_board import NOMINEES
from scores.board.merging import current_ranking, insist, merge, recorded_floor
from scores.moderation import requests
from scores.moderation.requests import Order
from scores.rules import audit_trail
from scores.rules.actions import Action, moderated
from scores.rules.boards import Row, rows_of
from scores.rules.entries import Entry
from scores.rules.errors import (
    Banned,
    Conflict,
    KeyReused,
    OutcomeUnknown,
    Refused,
    ScoreboardError,
    Throttled,
    Unavailable,
    VersionMoved,
)
from scores.rules.names import clean_name
from scores.rules.players import Player, RuleError
from scores.stores import repository
from scores.stores.ranking import RankingUnavailable
from scores.stores.tables import READ_TIMEOUT_S


def moderate(
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
    order = requests.checked(
        user_id=user_id,
        action=action,
        actor=actor,
        reason=reason,
        entry_id=entry_id,
        amount=amount,
        name=name,
        until=until,
    )
    player = _carry_out(order, expected_version)
    insist([player])
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
            order = Order(user_id, Action.RENAME, user_id, "", requests.new_entry_id(), name=name)
            merge([_carry_out(order, player.version)])
            return name
        except (VersionMoved, Conflict):  # the player scores at this moment
            if time.monotonic() > deadline:
                raise Conflict from None
        except OutcomeUnknown:
            raise OutcomeUnknown("It is not known whether the name has changed. Try again.") from None
        services.pause(0.05, deadline)


# --- Doing ----------------------------------------------------------------------------------------------


def _carry_out(order: Order, expected_version: int | None) -> Player:
    """Try until the deadline what is safe to try again: the entry's id admits one of the tries."""
    deadline = time.monotonic() + services.DEADLINE_S
    undecided = False
    wait_s = 0.01
    with services.one_at_a_time(order.user_id):
        while True:
            failure: ScoreboardError
            try:
                player = _try(order, expected_version)
                break
            except repository.Undecided:
                undecided, failure = True, Unavailable()
            except repository.Contended:
                failure = Conflict()
            except Throttled as throttled:
                failure = throttled
            except VersionMoved:  # decided, also for earlier tries: they were for an older version
                if expected_version is not None:
                    raise
                failure = Conflict()
            except ScoreboardError as error:
                if undecided:
                    raise _unknown(order) from error
                raise
            # After a try that may have taken effect there must be time left to find that out.
            if time.monotonic() + (2 * READ_TIMEOUT_S if undecided else 0) > deadline:
                if not undecided:
                    raise failure
                player = _look_up(order)
                break
            services.pause(wait_s, deadline)
            wait_s = min(2 * wait_s, 0.2)
    return player


def _try(order: Order, expected_version: int | None) -> Player:
    # In this order: an earlier try may take effect between the two reads, and must be found by the second.
    known = services.read_player(order.user_id)
    done = repository.read_entry(order.user_id, order.entry_id)
    if done is not None:
        return _done_before(order, done)
    if expected_version is not None and known.version != expected_version:
        raise VersionMoved
    now = services.now_ms()
    player = _moderated(order, known, now)
    # The entry of an erasure never holds what is being erased.
    before = dataclasses.replace(known, name=None) if order.action is Action.ERASE else known
    entry = Entry(
        user_id=order.user_id,
        entry_id=order.entry_id,
        kind=order.action.value,
        increment=player.score - known.score,
        new_score=player.score,
        version=player.version,
        at=now,
        previous_at=known.reached_at,
        actor=order.actor,
        reason=order.reason,
        before=audit_trail.summary(before),
        after=audit_trail.summary(player),
    )
    try:
        repository.commit(entry, player, known, floor=_floor(), now=now)
    except repository.EntryExists as exists:
        return _done_before(order, exists.entry)
    except repository.PlayerMoved as moved:
        raise VersionMoved from moved
    return player


def _moderated(order: Order, known: Player, now: int) -> Player:
    own = order.actor == order.user_id and order.action is Action.RENAME
    if not known.version and not own:
        raise Refused("There is no player with this id.")
    try:
        return moderated(known, order.action, now, amount=order.amount, name=order.name, until=order.until)
    except RuleError as error:
        raise Refused(str(error)) from error


def _done_before(order: Order, entry: Entry) -> Player:
    if not order.is_done_by(entry):
        raise KeyReused("This id belongs to another action. Start anew.")
    return services.read_player(order.user_id)


def _look_up(order: Order) -> Player:
    try:
        entry = repository.read_entry(order.user_id, order.entry_id)
        if entry is not None:
            return _done_before(order, entry)
    except Unavailable as error:
        raise _unknown(order) from error
    raise _unknown(order)


def _unknown(order: Order) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"It is not known whether this was done. Try again with the id {order.entry_id}: it is done once."
    )


def _floor() -> int:
    try:
        return current_ranking().guess("")[1]
    except RankingUnavailable:
        return recorded_floor()


# --- Looking ahead --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What an action would make of a player and of the board."""

    before: Player
    after: Player
    rows_before: tuple[Row, ...]
    rows_after: tuple[Row, ...]


def preview(
    *,
    user_id: str,
    action: Action,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> Preview:
    """What `moderate` would do now, from consistent reads; changes nothing.

    Raises Invalid and Refused as `moderate` does, Unavailable or Throttled.
    """
    order = requests.checked(
        user_id=user_id,
        action=action,
        actor=audit_trail.SYSTEM,
        reason="a preview",
        amount=amount,
        name=name,
        until=until,
    )
    known = services.read_player(user_id)
    after = _moderated(order, known, services.now_ms())
    rows_before, rows_after = boards(changed=[after])
    return Preview(known, after, rows_before, rows_after)


def boards(*, changed: Iterable[Player]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(the board now, the board when these players are as given), from consistent reads.

    Raises Unavailable or Throttled.
    """
    after = {player.user_id: player for player in changed}
    depth = NOMINEES + len(after)  # as many as may leave, others move up
    nominated = [user_id for user_id, _ in repository.nominees(depth)]
    try:
        nominated += current_ranking().top(depth)
    except RankingUnavailable:
        pass
    now = repository.read_players(dict.fromkeys([*nominated, *after]))
    return rows_of(now.values()), rows_of((now | after).values())

"""The moderation actions: the states in which each is possible, and what it does to a player."""

from __future__ import annotations

import dataclasses
from enum import StrEnum

from scores.rules.players import MAX_SCORE, Player, RuleError, State


class Action(StrEnum):
    """The moderation actions."""

    ADJUST = "adjust"
    RENAME = "rename"
    HIDE = "hide"
    UNHIDE = "unhide"
    BAN = "ban"
    UNBAN = "unban"
    ERASE = "erase"


_FROM = {
    Action.HIDE: {State.ACTIVE, State.HELD},
    Action.UNHIDE: {State.HIDDEN, State.HELD},
    Action.BAN: {State.ACTIVE, State.HIDDEN, State.HELD, State.BANNED},
    Action.UNBAN: {State.BANNED},
    Action.ADJUST: set(State) - {State.ERASED},
    Action.RENAME: set(State) - {State.ERASED},
    Action.ERASE: set(State) - {State.ERASED},
}


def possible_actions(state: State) -> list[Action]:
    """The actions that are possible in this state."""
    return [action for action in Action if state in _FROM[action]]


def moderated(
    player: Player,
    action: Action,
    at: int,
    *,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> Player:
    """`player` after `action` at `at` (ms). Adjust takes `amount`, rename `name`, ban `until` (ms).

    Raises RuleError when the player's state does not allow the action, when it would change nothing, and when
    the score would be below 0 or above MAX_SCORE.
    """
    if player.state not in _FROM[action]:
        raise RuleError(f"cannot {action} a player who is {player.state}")
    changed = dataclasses.replace(player, version=player.version + 1)
    match action:
        case Action.ADJUST:
            if amount == 0:
                raise RuleError("the amount must not be 0")
            if not 0 <= player.score + amount <= MAX_SCORE:
                raise RuleError(f"the score would leave 0 … {MAX_SCORE}")
            return dataclasses.replace(changed, score=player.score + amount, reached_at=at)
        case Action.RENAME:
            if player.name == name:
                raise RuleError("the player has this name already")
            return dataclasses.replace(changed, name=name)
        case Action.HIDE:
            return dataclasses.replace(changed, state=State.HIDDEN)
        case Action.BAN:
            if until is not None and until <= at:
                raise RuleError("a ban must end in the future")
            return dataclasses.replace(changed, state=State.BANNED, banned_until=until)
        case Action.UNHIDE | Action.UNBAN:
            return dataclasses.replace(changed, state=State.ACTIVE, banned_until=None)
        case Action.ERASE:
            return dataclasses.replace(changed, score=0, name=None, state=State.ERASED, banned_until=None)

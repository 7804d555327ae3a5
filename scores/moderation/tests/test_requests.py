"""What may be ordered, and which states that leads to. No store is touched."""

from __future__ import annotations

import itertools

import pytest

from scores.moderation import requests
from scores.rules.actions import Action, moderated
from scores.rules.errors import Invalid
from scores.rules.players import Player, RuleError, State


@pytest.mark.parametrize(
    "options",
    [
        {"reason": ""},
        {"reason": " \n\t "},
        {"reason": "\u200d"},
        {"reason": "x" * 501},
        {"reason": "a\x00b"},
        {"reason": "read \u202etsrif"},
        {"actor": ""},
        {"actor": " mod"},
        {"actor": "m" * 151},
        {"actor": "m\nd"},
        {"user_id": ""},
        {"user_id": "#table"},
        {"user_id": "a" * 129},
        {"entry_id": "key-1"},
        {"entry_id": "MOD#"},
        {"entry_id": "MOD#" + "1" * 129},
        {"entry_id": "MOD#a b"},
        {"amount": 1},
        {"action": Action.ADJUST},
        {"action": Action.ADJUST, "amount": 1.0},
        {"action": Action.ADJUST, "amount": True},
        {"name": "Bo"},
        {"action": Action.RENAME, "name": "admin"},
        {"action": Action.RENAME, "name": "a\u202eb"},
        {"until": 10**14},
        {"action": Action.BAN, "until": 10**15},
        {"action": Action.BAN, "until": -1},
    ],
    ids=repr,
)
def test_an_order_that_makes_no_sense_is_invalid(options):
    order = {"user_id": "ann", "action": Action.HIDE, "actor": "mod", "reason": "because"}
    assert requests.checked_request(**order).action is Action.HIDE
    with pytest.raises(Invalid):
        requests.checked_request(**order | options)


def test_a_reason_is_kept_in_one_form():
    reason = "  Cafe\u0301 closed\r\nfor\tgood 🏳️‍🌈 \n"
    order = requests.checked_request(user_id="ann", action=Action.HIDE, actor="mod", reason=reason)
    assert order.reason == "Café closed\nfor good 🏳️‍🌈"


def test_held_is_reachable_by_no_action_but_could_be_left():
    """Reserved for a rule that suspects a player, who then counts out of sight until a moderator looks."""
    states = {
        moderated(Player("a", 5, 3, 1, "Bo", state, None), action, 9, amount=1, name=None).state
        for state, action in itertools.product(set(State) - {State.HELD}, Action)
        if _fits(state, action)
    }
    assert states == set(State) - {State.HELD}
    held = Player("a", 5, 3, 1, state=State.HELD)
    for action, state in (
        (Action.UNHIDE, State.ACTIVE),
        (Action.HIDE, State.HIDDEN),
        (Action.BAN, State.BANNED),
        (Action.ERASE, State.ERASED),
    ):
        assert moderated(held, action, 9).state is state


def _fits(state, action):
    try:
        moderated(Player("a", 5, 3, 1, "Bo", state, None), action, 9, amount=1, name=None)
    except RuleError:
        return False
    return True

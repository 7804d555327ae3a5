"""What each moderation action does to a player, and when it is refused."""

from __future__ import annotations

import pytest

from scores.rules.actions import Action, moderated
from scores.rules.players import MAX_SCORE, Player, RuleError, State


def test_only_an_adjustment_changes_when_the_score_was_reached():
    before = Player("a", 5, 1, 77)
    for action in (Action.HIDE, Action.BAN, Action.RENAME, Action.ERASE):
        assert moderated(before, action, 99, name="Ann").reached_at == 77
    assert moderated(before, Action.ADJUST, 99, amount=-5).reached_at == 99


@pytest.mark.parametrize(
    ("player", "action", "options"),
    [
        (Player("a", 5, 1), Action.ADJUST, {"amount": -6}),
        (Player("a", 5, 1), Action.ADJUST, {"amount": MAX_SCORE}),
        (Player("a", 5, 1), Action.UNHIDE, {}),
        (Player("a", 5, 1), Action.UNBAN, {}),
        (Player("a", 5, 1), Action.BAN, {"until": 9}),
        (Player("a", 0, 1, state=State.ERASED), Action.ADJUST, {"amount": 1}),
        (Player("a", 0, 1, state=State.ERASED), Action.ERASE, {}),
        (Player("a", 0, 1, state=State.BANNED), Action.HIDE, {}),
    ],
)
def test_an_action_that_does_not_fit_the_state_is_refused(player, action, options):
    with pytest.raises(RuleError):
        moderated(player, action, 9, **options)


def test_erasing_removes_the_score_and_the_name():
    assert moderated(Player("a", 5, 3, 7, name="Ann"), Action.ERASE, 9) == Player(
        "a", 0, 4, 7, state=State.ERASED
    )

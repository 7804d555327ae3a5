"""The order of players, and what an update does to a score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scores.rules.players import (
    MAX_MS,
    MAX_SCORE,
    Player,
    RuleError,
    State,
    id_problem,
    in_order,
    increased,
)

IDS = st.from_regex(r"[A-Za-z0-9_.:@-]{1,8}", fullmatch=True)
PLAYERS = st.builds(
    Player,
    user_id=IDS,
    score=st.integers(1, 3) | st.integers(1, MAX_SCORE),
    version=st.integers(1, 5),
    reached_at=st.integers(0, 3) | st.integers(0, MAX_MS),
)


@given(st.lists(PLAYERS, unique_by=lambda p: p.user_id))
def test_keys_read_backwards_are_the_total_order(players):
    by_rule = sorted(players, key=lambda p: p.user_id.encode(), reverse=True)
    by_rule.sort(key=lambda p: (-p.score, p.reached_at))
    assert in_order(players) == by_rule


def test_hidden_and_held_players_keep_scoring():
    for state in (State.HIDDEN, State.HELD):
        assert increased(Player("a", 5, 1, 1, state=state), 2, 9) == Player("a", 7, 2, 9, state=state)


def test_an_update_after_a_ban_or_an_erasure_makes_the_player_active():
    banned = Player("a", 5, 1, 1, state=State.BANNED, banned_until=8)
    assert banned.is_banned(7) and not banned.is_banned(8)
    assert increased(banned, 2, 9) == Player("a", 7, 2, 9)
    assert increased(Player("a", 0, 3, 1, state=State.ERASED), 2, 9) == Player("a", 2, 4, 9)


def test_a_score_cannot_exceed_the_maximum():
    assert increased(Player("a", MAX_SCORE - 1), 1, 1).score == MAX_SCORE
    with pytest.raises(RuleError):
        increased(Player("a", MAX_SCORE), 1, 1)


@pytest.mark.parametrize("user_id", ["ann", "-1", "-", "...", ".a", "a:b@c.d-e_f", "x" * 128])
def test_every_id_that_can_be_opened_is_accepted(user_id):
    assert id_problem(user_id) is None


@pytest.mark.parametrize(
    ("user_id", "rule"),
    [
        (".", "but not . or .."),
        ("..", "but not . or .."),
        ("auth0|123", "'|' is none of them: write : instead"),
        ("a b", "' ' is none of them"),
        ("jürgen", r"'\xfc' is none of them"),
        ("ann\n", r"'\n' is none of them"),
        ("", "this one has 0"),
        ("x" * 129, "this one has 129"),
        (7, "a string of"),
    ],
)
def test_a_refused_id_comes_with_the_rule_it_breaks(user_id, rule):
    assert rule in id_problem(user_id)

"""The comparison of the board-truth probe: a change on its way is no difference, a lost one is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.probe.comparison import Comparison
from scores.rules.boards import Row


def rows(*players: tuple[str, int]) -> list[Row]:
    return [Row(rank, user_id, None, score) for rank, (user_id, score) in enumerate(players, start=1)]


@pytest.fixture
def comparison():
    return Comparison()


def test_the_same_is_no_difference(comparison):
    comparison.shows(rows(("ann", 20), ("bob", 10)))
    comparison.says(rows(("ann", 20), ("bob", 10)), 5.0)
    assert comparison.age(6.0) == 0 and comparison.differences() == []


def test_a_difference_is_as_old_as_the_first_look_that_found_it(comparison):
    comparison.shows(rows(("ann", 20)))
    for looked_at in (5.0, 10.0, 15.0):
        comparison.says(rows(("ann", 30)), looked_at)
    assert comparison.age(15.1) == pytest.approx(10.1)
    assert comparison.differences() == [
        "ann: shown rank 1 with 20 points, in the table rank 1 with 30 points"
    ]
    comparison.shows(rows(("ann", 30)))
    comparison.says(rows(("ann", 30)), 20.0)
    assert comparison.age(20.0) == 0


def test_a_board_that_keeps_up_with_a_busy_table_is_never_old(comparison):
    for second in range(100):  # always one update behind
        comparison.shows(rows(("ann", second), ("bob", 1)))
        comparison.says(rows(("ann", second + 1), ("bob", 1)), float(second))
        assert comparison.age(second + 0.1) < 1


def test_a_player_who_is_wrong_is_found_among_others_who_move(comparison):
    for second in range(20):
        comparison.shows(rows(("ann", 100 + second), ("bob", 1)))
        comparison.says(rows(("ann", 101 + second), ("bob", 2)), float(second))
    assert comparison.age(19.0) == 19


def test_a_frozen_socket_is_found_however_fast_the_table_changes(comparison):
    comparison.shows(rows(("ann", 1)))
    for second in range(20):
        comparison.says(rows(("ann", 2 + second)), float(second))
    assert comparison.age(19.0) == 19


def test_who_is_missing_and_who_should_not_be_there_are_differences(comparison):
    comparison.shows(rows(("ann", 20), ("banned", 10)))
    comparison.says(rows(("ann", 20), ("cid", 5)), 1.0)
    assert comparison.age(3.0) == 2
    assert comparison.differences() == [
        "banned: shown rank 2 with 10 points, in the table not on the board",
        "cid: shown not on the board, in the table rank 2 with 5 points",
    ]
    assert sorted(comparison.user_ids) == ["ann", "banned"]


def test_a_name_is_part_of_the_board(comparison):
    comparison.shows([Row(1, "ann", "Old", 5)])
    comparison.says([Row(1, "ann", "New", 5)], 1.0)
    assert comparison.age(2.0) == 1


@given(
    st.lists(
        st.tuples(st.booleans(), st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3))), max_size=30
    )
)
def test_the_age_is_zero_exactly_when_the_last_look_agreed(steps):
    comparison, shown, said, looked = Comparison(), [], [], False
    for now, (is_look, players) in enumerate(steps):
        board = rows(*sorted(players.items(), key=lambda item: -item[1]))
        if is_look:
            comparison.says(board, float(now))
            said, looked = board, True
        else:
            comparison.shows(board)
            shown = board
        age = comparison.age(float(now) + 0.5)
        assert 0 <= age <= now + 0.5
        if is_look and looked:
            assert (age == 0) is (shown == said)

"""The rows of a board, and the points a player needs to reach it."""

from __future__ import annotations

import pytest

from scores.rules.boards import Board, Row, points_to_top10, rows_of
from scores.rules.players import Player, State


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_only_active_players_are_on_the_board(state):
    assert rows_of([Player("a", 5, 1, 1, state=state), Player("b", 1, 1, 1)]) == (Row(1, "b", None, 1),)


def test_the_board_has_ten_rows():
    rows = rows_of(Player(f"u{i}", i, 1, 1) for i in range(12))
    assert [row.rank for row in rows] == list(range(1, 11))
    assert [row.score for row in rows] == list(range(11, 1, -1))


def test_a_player_without_points_is_not_on_the_board():
    assert rows_of([Player("a", 0, 1, 1, name="Buy this")]) == ()


TEN = tuple(Row(i, f"u{i}", None, 100 - i) for i in range(1, 11))


@pytest.mark.parametrize(
    ("score", "rows", "user_id", "points"),
    [(0, TEN[:9], "x", 0), (0, TEN, "u3", 0), (80, TEN, "x", 11), (90, TEN, "x", 1), (0, (), "x", 0)],
)
def test_points_to_top10_is_the_gap_to_the_tenth_row(score, rows, user_id, points):
    assert points_to_top10(score, rows, user_id) == points


def test_as_of_is_a_utc_instant_with_milliseconds():
    assert Board((), 1, 1_700_000_000_123).as_of_text == "2023-11-14T22:13:20.123Z"
    assert "stale" not in Board((), 1, 1).to_dict()
    assert Board((), 1, 1, stale=True).to_dict()["stale"] is True

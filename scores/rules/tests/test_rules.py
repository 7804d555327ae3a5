import pytest
from hypothesis import given
from hypothesis import strategies as st

from scores.rules.actions import Action, moderated
from scores.rules.boards import Board, Row, points_to_top10, rows_of
from scores.rules.entries import Entry, chain_problem
from scores.rules.players import MAX_MS, MAX_SCORE, Player, RuleError, State, in_order, increased

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


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_only_active_players_are_on_the_board(state):
    assert rows_of([Player("a", 5, 1, 1, state=state), Player("b", 1, 1, 1)]) == (Row(1, "b", None, 1),)


def test_the_board_has_ten_rows():
    rows = rows_of(Player(f"u{i}", i, 1, 1) for i in range(12))
    assert [row.rank for row in rows] == list(range(1, 11))
    assert [row.score for row in rows] == list(range(11, 1, -1))


def test_nobody_is_on_the_board_without_points():
    assert rows_of([Player("a", 0, 1, 1, name="Buy this")]) == ()


def test_hidden_and_held_players_go_on_counting():
    for state in (State.HIDDEN, State.HELD):
        assert increased(Player("a", 5, 1, 1, state=state), 2, 9) == Player("a", 7, 2, 9, state=state)


def test_an_ended_ban_and_an_erased_player_become_active():
    banned = Player("a", 5, 1, 1, state=State.BANNED, banned_until=8)
    assert banned.is_banned(7) and not banned.is_banned(8)
    assert increased(banned, 2, 9) == Player("a", 7, 2, 9)
    assert increased(Player("a", 0, 3, 1, state=State.ERASED), 2, 9) == Player("a", 2, 4, 9)


def test_a_score_stays_exact_in_every_language():
    assert increased(Player("a", MAX_SCORE - 1), 1, 1).score == MAX_SCORE
    with pytest.raises(RuleError):
        increased(Player("a", MAX_SCORE), 1, 1)


def test_a_rename_or_a_hide_does_not_touch_when_the_score_was_reached():
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
def test_a_moderation_that_does_not_fit_is_refused(player, action, options):
    with pytest.raises(RuleError):
        moderated(player, action, 9, **options)


def test_erasing_leaves_neither_score_nor_name():
    assert moderated(Player("a", 5, 3, 7, name="Ann"), Action.ERASE, 9) == Player(
        "a", 0, 4, 7, state=State.ERASED
    )


TEN = tuple(Row(i, f"u{i}", None, 100 - i) for i in range(1, 11))


@pytest.mark.parametrize(
    ("score", "rows", "user_id", "points"),
    [(0, TEN[:9], "x", 0), (0, TEN, "u3", 0), (80, TEN, "x", 11), (90, TEN, "x", 1), (0, (), "x", 0)],
)
def test_points_to_the_board(score, rows, user_id, points):
    assert points_to_top10(score, rows, user_id) == points


def test_as_of_is_a_utc_instant_with_milliseconds():
    assert Board((), 1, 1_700_000_000_123).as_of_text == "2023-11-14T22:13:20.123Z"
    assert "stale" not in Board((), 1, 1).to_dict()
    assert Board((), 1, 1, stale=True).to_dict()["stale"] is True


# --- The ledger chain

DAY = 86_400_000
NOW = 100 * DAY


def entry(version, increment, new_score, at=NOW, previous_at=NOW):
    return Entry("a", f"e{version}", "update", increment, new_score, version, at, previous_at)


WHOLE = [entry(1, 5, 5, previous_at=0), entry(2, 3, 8), entry(3, -8, 0)]


def problem(entries, player):
    return chain_problem(entries, player, 30 * DAY, NOW)


def test_a_whole_chain_has_no_problem():
    assert problem(reversed(WHOLE), Player("a", 0, 3, NOW)) is None
    assert problem([], Player("a")) is None


@pytest.mark.parametrize(
    ("entries", "player"),
    [
        (WHOLE[:2], Player("a", 0, 3, NOW)),  # the last entry is lost
        (WHOLE, Player("a", 8, 2, NOW)),  # the player is behind
        (WHOLE, Player("a", 1, 3, NOW)),  # the score is wrong
        ([WHOLE[0], WHOLE[2]], Player("a", 0, 3, NOW)),  # one in the middle is lost
        (WHOLE[1:], Player("a", 0, 3, NOW)),  # the first is lost
        ([*WHOLE, entry(3, 0, 0)], Player("a", 0, 3, NOW)),  # one is there twice
        ([WHOLE[0], entry(2, 4, 8)], Player("a", 8, 2, NOW)),  # a wrong sum
        (WHOLE, Player("a")),  # the player is lost
    ],
)
def test_a_broken_chain_is_found(entries, player):
    assert problem(entries, player)


def test_what_can_have_expired_may_be_missing():
    late = entry(3, 2, 10, previous_at=NOW - 31 * DAY)
    assert problem([late], Player("a", 10, 3, NOW)) is None
    assert problem([], Player("a", 10, 3, NOW - 31 * DAY)) is None

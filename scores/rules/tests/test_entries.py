"""The ledger chain: which entries may be missing, and which breaks are found."""

from __future__ import annotations

import pytest

from scores.rules.entries import Entry, chain_problem
from scores.rules.players import Player

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


def test_entries_older_than_the_retention_may_be_missing():
    late = entry(3, 2, 10, previous_at=NOW - 31 * DAY)
    assert problem([late], Player("a", 10, 3, NOW)) is None
    assert problem([], Player("a", 10, 3, NOW - 31 * DAY)) is None

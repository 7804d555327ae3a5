"""The simulated players, with fixed dice and no server: what makes their board look like a community's."""

import random
from collections import Counter
from dataclasses import dataclass
from itertools import groupby

import pytest

from tools.devstack.demo import MAX_INCREMENT, PLAYERS, Field


@dataclass
class Played:
    """One update of a simulated game: at `second` the `player` got `points`, while `star` was shining."""

    second: float
    star: str
    player: str
    points: int


@pytest.fixture(scope="module")
def game() -> list[Played]:
    """All updates of twenty minutes, each as fast as the pauses between them allow."""
    players, scores, now = Field(random.Random(3)), Counter[str](), 0.0
    played = []
    while now < 1200:
        players.board = scores.most_common(10)
        for player, points, pause in players.moves(now):
            scores[player] += points
            played.append(Played(now, players.star, player, points))
            now += pause
    return played


def test_opening_fills_the_board_within_two_seconds():
    opening = list(Field(random.Random(3)).opening())
    assert len({player for player, _, _ in opening}) >= 10
    assert sum(pause for _, _, pause in opening) < 2


def test_every_increment_is_one_that_the_api_takes(game):
    assert all(0 < update.points <= MAX_INCREMENT for update in game)


def test_a_few_play_much_and_many_seldom(game):
    updates = Counter(update.player for update in game)
    assert set(updates) == set(PLAYERS)
    shares = [count / len(game) for _, count in updates.most_common()]
    assert sum(shares[:6]) > 0.3
    assert sum(shares[30:]) < 0.3


def test_a_star_mostly_gains_more_than_anybody_else_while_it_shines(game):
    best = []
    for star, shine in groupby(game, key=lambda update: update.star):
        gains = Counter[str]()
        for update in shine:
            gains[update.player] += update.points
        best.append(gains.most_common(1)[0][0] == star)
    assert len(best) > 30
    assert sum(best) > 0.7 * len(best)


def test_tie_brings_somebody_level_with_the_next_above():
    board = [("far ahead", 300), ("next", 150), ("behind", 120), ("level", 120)]
    assert Field(random.Random(3), board)._tie() == ("behind", 30, 0.5)
    assert Field(random.Random(3), board[:2])._tie() is None
    assert Field(random.Random(3))._tie() is None


def test_now_and_then_a_dozen_finish_at_once():
    players = Field(random.Random(3))
    bursts = [moves for moves in (list(players.moves(0.0)) for _ in range(1000)) if len(moves) > 1]
    assert 10 < len(bursts) < 100
    for burst in bursts:
        assert len({player for player, _, _ in burst}) == 12
        assert sum(pause for _, _, pause in burst) < 0.5

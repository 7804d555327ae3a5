"""The model of DynamoDB's partitions on cases whose answer is known, and against the real table."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from scores.rules.boards import DEFAULT_BOARD
from scores.rules.commits import Commit
from scores.rules.entries import Entry
from scores.rules.players import Player, State, increased
from scores.stores import tables
from tools.research.simulation.partitions import (
    Activity,
    Partitions,
    World,
    constant,
    index_writes,
    sharded,
    sparse,
)
from tools.testing import stage


def accepted_per_s(rate, design, players=100_000, seconds=3, **world):
    return World(Activity(players, rate, pace=1.0), design, **world).run(seconds).accepted / seconds


def test_a_constant_key_carries_five_hundred_score_changes_a_second():
    assert accepted_per_s(400, constant) == 400
    assert accepted_per_s(2_000, constant) == pytest.approx(500, abs=5)


def test_shards_carry_five_hundred_changes_each():
    assert accepted_per_s(4_000, sharded(4)) == pytest.approx(2_000, abs=20)


def test_the_sparse_index_carries_what_its_contenders_do_and_nothing_for_all_others():
    few = World(Activity(100_000, 1_000, pace=1.0), sparse).run(3)
    many = World(Activity(100_000, 5_000, pace=1.0), sparse).run(3)
    assert few.share == many.share == 1
    assert many.hottest < 600  # 200 contenders, an update a second each, two units, and those who come up
    assert many.units_per_update < few.units_per_update / 2


def test_without_a_floor_the_sparse_index_is_an_index_with_a_constant_key():
    world = World(Activity(100_000, 2_000, pace=1.0), sparse)
    world.floor_known = False
    outcome = world.run(3)
    assert 500 <= outcome.accepted / 3 < 1_000  # one unit for who comes in, two for who is in
    assert outcome.hottest == 1_000


def test_a_season_starts_without_a_floor_and_soon_has_one():
    world = World(Activity(100_000, 1_000, pace=1.0), sparse, season_s=0)
    assert world.floor == 0
    world.run(5)
    assert world.floor > 0


def test_only_writes_that_need_the_full_partition_are_refused():
    index, full = Partitions(), ("full", "1")
    for number in range(500):
        index.take(index_writes(index, ("full", f"before-{number}"), full))
    assert not index.room(index_writes(index, None, full))
    assert index.room(index_writes(index, None, ("other", "1")))
    assert index.room(index_writes(index, full, full)), "an unchanged key costs nothing"
    index.tick()
    assert index.room(index_writes(index, None, full))


def test_a_split_collection_has_room_on_either_side():
    index = Partitions(splits=("m",))
    assert index_writes(index, ("board", "a"), ("board", "z")) == Counter({("board", 0): 1, ("board", 1): 1})


@pytest.mark.parametrize("players, rate, pace", [(10**6, 100, 1), (10**8, 100_000, 1), (10**4, 5_000, 0.7)])
def test_activity_adds_up_and_nobody_plays_faster_than_the_pace(players, rate, pace):
    activity = Activity(players, rate, pace)
    assert activity.of(0) == pytest.approx(pace, rel=0.01)
    head = sum(activity.of(number) for number in range(min(players, 200_000)))
    assert head <= rate * 1.02
    dice, picks = random.Random(3), 20_000
    best = sum(activity.pick(dice) < 200 for _ in range(picks)) / picks
    assert best == pytest.approx(sum(activity.of(n) for n in range(200)) / rate, abs=0.02)


@pytest.mark.usefixtures("stores")
def test_the_models_index_is_the_one_that_the_table_has():
    """The same updates, with floors that rise, through the real transaction and through the model."""
    dice, known, entries = random.Random(5), {}, {}
    for number in range(60):
        user_id, floor = f"p{dice.randrange(12)}", number
        before = known.get(user_id, Player(user_id))
        after = increased(before, dice.randint(1, 30), 1_000 + number)
        key = f"k{number}"
        entry = Entry(user_id, key, "update", 1, after.score, after.version, number, before.reached_at)
        stage.scoreboard().players.commit(Commit(entry, after, before, number), floor=floor)
        known[user_id], entries[user_id] = after, sparse(after, floor)
    indexed = {
        item.user_id: (item.contender, item.rank_key)
        for item in tables.UserScore.top_scores.query(DEFAULT_BOARD)
    }
    assert indexed == {user_id: key for user_id, key in entries.items() if key}
    assert 0 < len(indexed) < len(known)


def test_hidden_players_are_in_no_index():
    hidden = Player("p", 100, 1, 1, state=State.HIDDEN)
    assert constant(hidden, 0) is sparse(hidden, 0) is sharded(3)(hidden, 0) is None

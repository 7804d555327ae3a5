import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scores.rules.boards import DEFAULT_BOARD, rows_of
from scores.rules.players import MAX_MS, MAX_SCORE, Player, State, in_order
from scores.stores import cache, ranking
from scores.stores.cache import Breaker, RankingUnavailable
from scores.stores.ranking import Ranking
from tools.testing import stage
from tools.testing.clock import Clock


@pytest.fixture
def ranked(stores) -> Ranking:
    return ready(ranking_of("test"))


def ranking_of(generation: str) -> Ranking:
    return Ranking(stage.scoreboard().cache, DEFAULT_BOARD, generation)


def ready(new: Ranking) -> Ranking:
    assert new.mark(new.epoch(), full=False)
    return new


VERSIONS = st.lists(
    st.builds(
        Player,
        user_id=st.sampled_from([f"u{i}" for i in range(14)]),
        score=st.integers(0, 5) | st.integers(0, MAX_SCORE),
        version=st.integers(1, 2**53 - 1),
        reached_at=st.integers(0, 2) | st.integers(0, MAX_MS),
        name=st.none() | st.text(min_size=1, max_size=5).filter(lambda name: "\0" not in name),
        state=st.sampled_from([State.ACTIVE, State.ACTIVE, State.HIDDEN]),
    ),
    unique_by=lambda p: (p.user_id, p.version),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=VERSIONS, seed=st.randoms(use_true_random=False))
def test_late_repeated_and_reordered_merges_end_alike(ranked, history, seed):
    newest = {p.user_id: p for p in sorted(history, key=lambda p: p.version)}
    other = ready(ranking_of(f"test-{time.monotonic_ns()}"))
    shuffled = history + seed.sample(history, len(history) // 2)
    seed.shuffle(shuffled)
    for player in shuffled:
        other.merge([player])
    board = other.board()
    assert board is not None
    assert board.rows == rows_of(newest.values())
    assert other.top(100) == [p.user_id for p in in_order(newest.values())]
    assert other.versions(list(newest)) == {p.user_id: p.version for p in newest.values()}


def test_an_equal_or_older_version_changes_nothing(ranked):
    ranked.merge([Player("ann", 5, 3, 1)])
    before = ranked.board()
    assert ranked.merge([Player("ann", 9, 3, 1)]) == ranking.Merge(0, None)
    assert ranked.merge([Player("ann", 9, 2, 1)]) == ranking.Merge(0, None)
    assert ranked.board().rows == before.rows and ranked.board().revision == before.revision


def test_a_late_write_cannot_bring_a_hidden_player_back(ranked):
    ranked.merge([Player("ann", 5, 4, 1, state=State.HIDDEN)])
    assert ranked.merge([Player("ann", 9, 3, 1)]).newer == 0
    assert ranked.board().rows == ()


def test_only_a_change_of_the_visible_ten_is_a_new_revision(ranked):
    ranked.merge(Player(f"u{i:02}", 100 - i, 1, 1) for i in range(12))
    assert ranked.merge([Player("u11", 1, 2, 1)]).revision is None
    assert ranked.merge([Player("u05", 95, 2, 1)]).revision is None
    renamed = ranked.merge([Player("u05", 95, 3, 1, name="Five")]).revision
    raised = ranked.merge([Player("u11", 92, 3, 2)]).revision
    assert renamed and raised and raised > renamed
    assert ranked.merge([Player("u00", 100, 2, 1, state=State.BANNED)]).revision > raised


def test_the_largest_numbers_come_back_exactly(ranked):
    top = Player("top", MAX_SCORE, 2**53 - 1, MAX_MS)
    ranked.merge([top, Player("next", MAX_SCORE - 1, 1, 0)])
    assert [row.score for row in ranked.board().rows] == [MAX_SCORE, MAX_SCORE - 1]
    assert ranked.guess("top") == (top, 0)


def test_until_it_is_ready_it_merges_and_says_nothing(stores):
    young = ranking_of("test")
    assert young.merge([Player("ann", 5, 1, 1)]) == ranking.Merge(1, None)
    assert young.board() is None
    assert [row.user_id for row in ready(young).board().rows] == ["ann"]


@pytest.mark.parametrize("lost", ["all", "half"])
def test_who_began_before_the_data_were_lost_cannot_declare_it_ready(stores, lost):
    young = ranking_of("test")
    epoch = young.epoch()
    assert young.epoch() == epoch
    young.merge([Player("ann", 5, 1, 1)])
    if lost == "all":
        stage.scoreboard().cache.client.flushall()
    else:
        ready(young)
        stage.scoreboard().cache.client.delete(young._key("players"))
        assert young.board() is None
    assert young.mark(epoch, full=True) is None
    assert not young.is_ready() and not young.is_full()
    assert young.epoch() != epoch


def test_a_lock_is_given_back_by_its_holder_only(stores):
    young = ranking_of("test")
    lost = young.lock("scan", 1)
    time.sleep(0.01)
    held = young.lock("scan", 1000)
    assert lost and held and young.lock("scan", 1000) is None
    young.unlock("scan", lost)
    young.keep("scan", lost, 1)
    time.sleep(0.01)
    assert young.lock("scan", 1000) is None
    young.keep("scan", held, 1)
    time.sleep(0.01)
    young.keep("scan", held, 1000)
    assert young.lock("scan", 1000) is None
    young.unlock("scan", held)
    assert young.lock("scan", 1000)


def test_a_place_is_known_only_when_everybody_is_in(ranked):
    ann, bob = Player("ann", 5, 1, 1), Player("bob", 6, 1, 1)
    ranked.merge([ann, bob])
    assert ranked.place(ann) == (None, None)
    ranked.mark(ranked.epoch(), full=True)
    assert ranked.place(ann) == (2, 2)
    assert ranked.place(Player("nobody")) == (None, 2)


def test_the_floor_is_in_force_for_ten_seconds(ranked):
    assert ranked.floor_age_s() is None
    ranked.set_floor(70)
    assert ranked.guess("nobody") == (None, 70)
    assert 0 <= ranked.floor_age_s() < 1
    eleven_s_ago = int(time.time() * 1e6) - 11_000_000
    stage.scoreboard().cache.client.set(ranked._key("floor"), f"70|{eleven_s_ago}")
    assert ranked.guess("nobody") == (None, 0)
    assert ranked.floor_age_s() > 10


def test_a_viewer_that_saw_more_gets_a_higher_revision(ranked):
    seen = 9 * 10**15 - 10
    assert ranked.raise_revision(seen) == seen + 1
    assert ranked.board().revision == seen + 1


def test_a_player_who_is_not_in_the_table_is_dropped_at_that_version_only(ranked):
    ranked.merge([Player("ann", 5, 3, 1)])
    assert ranked.drop({"ann": 2}).newer == 0
    dropped = ranked.drop({"ann": 3, "nobody": 1})
    assert dropped.newer == 1 and dropped.revision
    assert ranked.versions(["ann"]) == {}


def test_half_of_the_data_gone_means_start_over(ranked):
    ranked.merge([Player("ann", 5, 3, 1)])
    stage.scoreboard().cache.client.delete(ranked._key("players"))
    assert ranked.merge([Player("bob", 5, 1, 1)]) == ranking.Merge(1, None)
    assert ranked.board() is None


def test_ids_and_names_are_data_and_nothing_else(ranked):
    odd = ["a:b@c.d-e_f", "-1", "0", "nil", "x" * 128]
    names = ["|", "a|b|c", "'); --", "日本\n語", "{}"]
    players = [Player(u, 10 - i, 1, 1, name=n) for i, (u, n) in enumerate(zip(odd, names, strict=True))]
    random.Random(1).shuffle(players)
    ranked.merge(players)
    assert [(row.user_id, row.name) for row in ranked.board().rows] == list(zip(odd, names, strict=True))


def test_the_breaker_skips_for_a_second_after_two_failures_then_probes():
    clock = Clock(0.0)
    breaker = Breaker(clock)
    breaker.failed()
    breaker.before()
    breaker.failed()
    with pytest.raises(RankingUnavailable):
        breaker.before()
    clock.now = 1.1
    breaker.before()  # the probe
    with pytest.raises(RankingUnavailable):
        breaker.before()
    breaker.repair_wanted.clear()
    breaker.succeeded()
    breaker.before()
    assert breaker.repair_wanted.is_set()


def test_a_ranking_that_was_lost_is_in_doubt_for_a_while():
    clock = Clock(0.0)
    breaker = Breaker(clock)
    breaker.failed()
    breaker.succeeded()
    assert not breaker.in_doubt, "one slow answer"
    breaker.failed(lost=True)
    breaker.succeeded()
    assert breaker.in_doubt, "a failover, maybe"
    clock.now = cache.DOUBT_S
    assert not breaker.in_doubt
    breaker.failed()
    breaker.failed()
    clock.now += 10
    breaker.succeeded()
    assert breaker.in_doubt, "whatever was merged meanwhile may be missing"

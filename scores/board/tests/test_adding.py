"""Adding points, moderating and reading, on the real stores."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scores.board import adding, index_board, merging, reading, writing
from scores.board.adding import Accepted
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.errors import (
    Banned,
    Forbidden,
    Invalid,
    KeyReused,
    Refused,
    ScoreLimit,
    Unavailable,
    VersionMoved,
)
from scores.rules.players import MAX_SCORE, State
from scores.stores import ledger, ranking
from scores.stores.cache import RankingUnavailable
from scores.stores.players import PlayerTable
from scores.stores.tables import READ_TIMEOUT_S
from scores.upkeep import rebuild, reconcile, verify
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


def add(user_id, increment, key, caller=stage.SERVER):
    return adding.add_points(stage.scoreboard(), user_id=user_id, increment=increment, key=key, caller=caller)


def moderate(user_id, action, **options):
    known = stage.scoreboard().players.read(user_id)
    options.setdefault("expected_version", known.version)
    return moderating.moderate(
        stage.scoreboard(), user_id=user_id, action=action, actor="mod", reason="because", **options
    )


def test_an_update_counts_once_for_each_key():
    assert add("ann", 10, "k1") == Accepted(10, replayed=False)
    assert add("ann", 5, "k2") == Accepted(15, replayed=False)
    assert add("ann", 10, "k1") == Accepted(10, replayed=True)
    assert stage.scoreboard().players.read("ann").score == 15
    assert len(ledger.read_all("ann")) == 2


def test_a_key_belongs_to_one_player():
    assert add("ann", 10, "k") == add("bob", 10, "k") == Accepted(10, replayed=False)


def test_a_key_with_another_increment_is_refused_and_changes_nothing():
    add("ann", 10, "k")
    with pytest.raises(KeyReused):
        add("ann", 11, "k")
    assert stage.scoreboard().players.read("ann").version == 1


def test_players_write_for_themselves_and_the_server_for_anybody():
    assert add("ann", 1, "k", stage.player("ann")).new_score == 1
    with pytest.raises(Forbidden):
        add("bob", 1, "k", stage.player("ann"))
    assert not stage.scoreboard().players.read("bob").version


@pytest.mark.parametrize("increment", [0, -1, 1001])
def test_an_increment_outside_the_limits_is_refused(increment):
    with pytest.raises(Invalid):
        add("ann", increment, "k")
    assert not stage.scoreboard().players.read("ann").version


def test_sixteen_writers_on_one_player_all_succeed():
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda i: add("ann", 1, f"k{i}"), range(64)))
    assert sorted(accepted.new_score for accepted in done) == list(range(1, 65))
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


def test_the_same_key_from_all_sides_counts_once():
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda _: add("ann", 7, "k"), range(32)))
    assert {accepted.new_score for accepted in done} == {7}
    assert sum(not accepted.replayed for accepted in done) == 1


def test_a_stale_guess_costs_a_try_and_no_points():
    add("ann", 10, "k1")
    stale = stage.scoreboard().players.read("ann")
    add("ann", 10, "k2")
    stage.scoreboard().cache.client.flushall()
    stage.scoreboard().ranking().merge([stale])
    assert add("ann", 10, "k3").new_score == 30


def test_the_score_limit_is_a_refusal_but_not_for_what_was_accepted():
    add("ann", 10, "k1")
    moderate("ann", Action.ADJUST, amount=MAX_SCORE - 10)
    with pytest.raises(ScoreLimit):
        add("ann", 1, "k2")
    assert add("ann", 10, "k1") == Accepted(10, replayed=True)


def test_a_banned_player_is_refused_but_not_for_what_was_accepted():
    add("ann", 10, "k1")
    moderate("ann", Action.BAN)
    with pytest.raises(Banned):
        add("ann", 1, "k2")
    assert add("ann", 10, "k1") == Accepted(10, replayed=True)
    assert stage.scoreboard().players.read("ann").version == 2


def test_a_ban_holds_although_the_cache_has_not_heard_of_it(monkeypatch):
    add("ann", 10, "k1")
    known = stage.scoreboard().players.read("ann")
    moderate("ann", Action.BAN)
    stage.scoreboard().cache.client.flushall()
    stage.scoreboard().ranking().merge([known])
    with pytest.raises(Banned):
        add("ann", 1, "k2")


def test_an_ended_ban_ends_in_the_update_itself(monkeypatch):
    add("ann", 10, "k1")
    moderate("ann", Action.BAN, until=stage.scoreboard().now_ms() + 1000)
    later = stage.scoreboard().now_ms() + 2000
    monkeypatch.setattr(stage.scoreboard(), "now_ms", lambda: later)
    assert add("ann", 1, "k2").new_score == 11
    assert stage.scoreboard().players.read("ann").state is State.ACTIVE


def test_a_hidden_player_goes_on_counting_out_of_sight():
    add("ann", 10, "k1")
    rebuild.rebuild_ranking(stage.scoreboard())
    moderate("ann", Action.HIDE)
    assert add("ann", 5, "k2").new_score == 15
    assert stage.board().rows == ()
    moderate("ann", Action.UNHIDE)
    assert [row.score for row in stage.board().rows] == [15]


def test_an_erased_player_starts_again_at_zero():
    add("ann", 10, "k1")
    moderate("ann", Action.ERASE)
    assert add("ann", 3, "k2").new_score == 3
    assert add("ann", 10, "k1") == Accepted(10, replayed=True)
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


def test_moderation_is_on_record_with_before_and_after():
    add("ann", 10, "k1")
    moderate("ann", Action.ADJUST, amount=-4)
    (entry,) = [e for e in ledger.read_all("ann") if e.actor]
    assert entry.entry_id.startswith("MOD#")
    assert (entry.kind, entry.increment, entry.new_score, entry.expires_at) == ("adjust", -4, 6, None)
    assert (entry.actor, entry.reason) == ("mod", "because")
    assert '"score": 10' in entry.before and '"score": 6' in entry.after


def test_a_moderator_who_looked_at_an_older_version_is_refused():
    add("ann", 10, "k1")
    add("ann", 10, "k2")
    with pytest.raises(VersionMoved):
        moderate("ann", Action.HIDE, expected_version=1)
    with pytest.raises(Refused):
        moderate("ann", Action.ADJUST, amount=-21)


def test_a_double_click_is_one_action():
    add("ann", 10, "k1")
    version = stage.scoreboard().players.read("ann").version
    for _ in range(2):
        player = moderate("ann", Action.ADJUST, amount=5, entry_id="MOD#1", expected_version=version)
        assert player.score == 15
    assert len(ledger.read_all("ann")) == 2


def test_losing_redis_costs_no_update_and_no_board(monkeypatch):
    add("ann", 10, "k1")
    rebuild.rebuild_ranking(stage.scoreboard())

    def away(*args, **kwargs):
        raise RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "_run", away)
    assert add("bob", 20, "k2") == Accepted(20, replayed=False)
    board = reading.get_board(stage.scoreboard())
    assert board.from_index and board.rows == stage.true_rows()
    assert list(stage.scoreboard().unmerged) == ["bob"]
    monkeypatch.undo()
    assert reconcile.reconcile_ranking(stage.scoreboard()) == 1
    assert list(stage.scoreboard().unmerged) == []
    assert stage.board().rows == stage.true_rows()


def test_who_waits_for_a_board_from_the_index_shares_its_failure(monkeypatch):
    calls = []

    def slow_failure(players, count):
        calls.append(count)
        time.sleep(0.3)
        raise Unavailable

    monkeypatch.setattr(PlayerTable, "nominees", slow_failure)
    monkeypatch.setattr(ranking.Ranking, "board", lambda self: None)
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(reading.get_board, stage.scoreboard()) for _ in range(16)]
        assert all(isinstance(each.exception(), Unavailable) for each in waiting)
    assert len(calls) <= 3, "not one after the other"


def test_no_call_is_begun_that_would_end_after_the_budget(monkeypatch):
    read, commits = PlayerTable.read, []

    def slow_read(players, user_id):
        time.sleep(writing.DEADLINE_S - READ_TIMEOUT_S + 0.05)
        return read(players, user_id)

    monkeypatch.setattr(PlayerTable, "read", slow_read)
    monkeypatch.setattr(PlayerTable, "commit", lambda *args, **options: commits.append(args))
    with pytest.raises(Unavailable):
        add("ann", 10, "k1")
    assert commits == []


def test_what_redis_shows_while_it_is_in_doubt_is_not_passed_off_as_the_last_board_known(monkeypatch):
    add("ann", 10, "k1")
    rebuild.rebuild_ranking(stage.scoreboard())
    known = reading.get_board(stage.scoreboard())
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda *_: None)
        moderate("ann", Action.BAN)
    stage.scoreboard().cache.breaker.failed(lost=True)

    def away(players, count):
        raise Unavailable

    monkeypatch.setattr(PlayerTable, "nominees", away)
    time.sleep(index_board.GOOD_FOR_S)
    board = reading.get_board(stage.scoreboard())
    assert board.stale and board.as_of == known.as_of


def test_a_moderation_outlasts_a_failure_on_the_way_to_redis(monkeypatch):
    add("ann", 10, "k1")
    rebuild.rebuild_ranking(stage.scoreboard())
    run, failures = ranking.Ranking._run, [1, 2, 3]

    def shaky(*args, **kwargs):
        if failures:
            failures.pop()
            raise RankingUnavailable("a connection broke")
        return run(*args, **kwargs)

    monkeypatch.setattr(ranking.Ranking, "_run", shaky)
    moderate("ann", Action.BAN)
    assert stage.board().rows == () and list(stage.scoreboard().unmerged) == []


@pytest.mark.alone
def test_a_moderation_waits_for_redis_no_longer_than_others_need_to_notice_and_not_every_time(monkeypatch):
    add("ann", 10, "k1")

    def away(*args, **kwargs):
        raise RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "_run", away)
    breaker = stage.scoreboard().cache.breaker
    breaker.failed()
    breaker.failed()
    began = time.monotonic()
    moderate("ann", Action.HIDE)
    assert merging.INSIST_S <= time.monotonic() - began < merging.INSIST_S + 1
    assert list(stage.scoreboard().unmerged) == ["ann"]
    began = time.monotonic()
    moderate("ann", Action.UNHIDE)
    assert time.monotonic() - began < 0.5


def test_a_ban_that_redis_has_missed_holds_when_it_comes_back(monkeypatch):
    add("ann", 10, "k1")
    rebuild.rebuild_ranking(stage.scoreboard())
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda *_: None)
        moderate("ann", Action.BAN)
    stage.scoreboard().cache.breaker.failed(lost=True)
    assert [row.user_id for row in stage.board().rows] == ["ann"]
    assert reading.get_board(stage.scoreboard()).rows == ()


def test_a_board_from_the_index_is_confirmed_by_the_table():
    for number in range(12):
        add(f"u{number}", 10 + number, "k")
    stage.scoreboard().cache.client.flushall()
    assert reading.get_board(stage.scoreboard()).rows == stage.true_rows()
    assert len(reading.get_board(stage.scoreboard()).rows) == 10


def test_standing_of_somebody_unknown_is_zero():
    add("ann", 10, "k1")
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    assert reading.get_standing(stage.scoreboard(), user_id="nobody").to_dict() == {
        "userId": "nobody",
        "score": 0,
        "rank": None,
        "total": 1,
        "pointsToTop10": 0,
    }


def test_standing_is_exact_and_repairs_what_it_sees():
    for number in range(12):
        add(f"u{number:02}", 100 - number, "k")
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    stage.scoreboard().cache.client.hdel(stage.scoreboard().ranking()._key("players"), "u11")
    stage.scoreboard().cache.client.zrem(
        stage.scoreboard().ranking()._key("ranking"), stage.scoreboard().players.read("u11").member
    )
    standing = reading.get_standing(stage.scoreboard(), user_id="u11")
    assert (standing.rank, standing.total, standing.points_to_top10) == (12, 12, 91 - 89 + 1)
    assert reading.get_standing(stage.scoreboard(), user_id="u03").points_to_top10 == 0


def test_no_rank_is_better_than_a_wrong_one():
    add("ann", 10, "k1")
    stage.scoreboard().cache.client.flushall()
    standing = reading.get_standing(stage.scoreboard(), user_id="ann")
    assert (standing.score, standing.rank, standing.total) == (10, None, None)

"""Adding points, moderating and reading, on the real stores."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scores.board import index_board, merging, services
from scores.board.services import Accepted
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
from scores.rules.players import MAX_SCORE, Player, State
from scores.stores import ranking, repository
from scores.stores.ranking import RankingUnavailable
from scores.upkeep import reconcile
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


def add(user_id, increment, key, caller=stage.SERVER):
    return services.add_points(user_id=user_id, increment=increment, key=key, caller=caller)


def moderate(user_id, action, **options):
    known = repository.read_player(user_id) or Player(user_id)
    options.setdefault("expected_version", known.version)
    return moderating.moderate(user_id=user_id, action=action, actor="mod", reason="because", **options)


def test_an_update_counts_once_for_each_key():
    assert add("ann", 10, "k1") == Accepted(10, replayed=False)
    assert add("ann", 5, "k2") == Accepted(15, replayed=False)
    assert add("ann", 10, "k1") == Accepted(10, replayed=True)
    assert repository.read_player("ann").score == 15
    assert len(repository.read_ledger("ann")) == 2


def test_a_key_belongs_to_one_player():
    assert add("ann", 10, "k") == add("bob", 10, "k") == Accepted(10, replayed=False)


def test_a_key_with_another_increment_is_refused_and_changes_nothing():
    add("ann", 10, "k")
    with pytest.raises(KeyReused):
        add("ann", 11, "k")
    assert repository.read_player("ann").version == 1


def test_players_write_for_themselves_and_the_server_for_anybody():
    assert add("ann", 1, "k", stage.player("ann")).new_score == 1
    with pytest.raises(Forbidden):
        add("bob", 1, "k", stage.player("ann"))
    assert repository.read_player("bob") is None


@pytest.mark.parametrize("increment", [0, -1, 1001])
def test_an_increment_outside_the_limits_is_refused(increment):
    with pytest.raises(Invalid):
        add("ann", increment, "k")
    assert repository.read_player("ann") is None


def test_sixteen_writers_on_one_player_all_succeed():
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda i: add("ann", 1, f"k{i}"), range(64)))
    assert sorted(accepted.new_score for accepted in done) == list(range(1, 65))
    assert reconcile.verify_ledger() == (1, [])


def test_the_same_key_from_all_sides_counts_once():
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda _: add("ann", 7, "k"), range(32)))
    assert {accepted.new_score for accepted in done} == {7}
    assert sum(not accepted.replayed for accepted in done) == 1


def test_a_stale_guess_costs_a_try_and_no_points():
    add("ann", 10, "k1")
    stale = repository.read_player("ann")
    add("ann", 10, "k2")
    ranking._client().flushall()
    merging.current_ranking().merge([stale])
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
    assert repository.read_player("ann").version == 2


def test_a_ban_holds_although_the_cache_has_not_heard_of_it(monkeypatch):
    add("ann", 10, "k1")
    known = repository.read_player("ann")
    moderate("ann", Action.BAN)
    ranking._client().flushall()
    merging.current_ranking().merge([known])
    with pytest.raises(Banned):
        add("ann", 1, "k2")


def test_an_ended_ban_ends_in_the_update_itself(monkeypatch):
    add("ann", 10, "k1")
    moderate("ann", Action.BAN, until=services.now_ms() + 1000)
    later = services.now_ms() + 2000
    monkeypatch.setattr(services, "now_ms", lambda: later)
    assert add("ann", 1, "k2").new_score == 11
    assert repository.read_player("ann").state is State.ACTIVE


def test_a_hidden_player_goes_on_counting_out_of_sight():
    add("ann", 10, "k1")
    reconcile.rebuild_ranking()
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
    assert reconcile.verify_ledger() == (1, [])


def test_moderation_is_on_record_with_before_and_after():
    add("ann", 10, "k1")
    moderate("ann", Action.ADJUST, amount=-4)
    (entry,) = [e for e in repository.read_ledger("ann") if e.actor]
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
    version = repository.read_player("ann").version
    for _ in range(2):
        player = moderate("ann", Action.ADJUST, amount=5, entry_id="MOD#1", expected_version=version)
        assert player.score == 15
    assert len(repository.read_ledger("ann")) == 2


def test_losing_redis_costs_no_update_and_no_board(monkeypatch):
    add("ann", 10, "k1")
    reconcile.rebuild_ranking()

    def away(*args, **kwargs):
        raise RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "_run", away)
    assert add("bob", 20, "k2") == Accepted(20, replayed=False)
    board = services.get_board()
    assert board.from_index and board.rows == stage.true_rows()
    assert merging.unmerged(10) == ["bob"]
    monkeypatch.undo()
    assert reconcile.reconcile_ranking() == 1
    assert merging.unmerged(10) == []
    assert stage.board().rows == stage.true_rows()


def test_who_waits_for_a_board_from_the_index_shares_its_failure(monkeypatch):
    calls = []

    def slow_failure(count):
        calls.append(count)
        time.sleep(0.3)
        raise Unavailable

    monkeypatch.setattr(repository, "nominees", slow_failure)
    monkeypatch.setattr(ranking.Ranking, "board", lambda self: None)
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(services.get_board) for _ in range(16)]
        assert all(isinstance(each.exception(), Unavailable) for each in waiting)
    assert len(calls) <= 3, "not one after the other"


def test_no_call_is_begun_that_would_end_after_the_budget(monkeypatch):
    read, commits = repository.read_player, []

    def slow_read(user_id):
        time.sleep(services.DEADLINE_S - services.READ_TIMEOUT_S + 0.05)
        return read(user_id)

    monkeypatch.setattr(repository, "read_player", slow_read)
    monkeypatch.setattr(repository, "commit", lambda *args, **options: commits.append(args))
    with pytest.raises(Unavailable):
        add("ann", 10, "k1")
    assert commits == []


def test_what_redis_shows_while_it_is_in_doubt_is_not_passed_off_as_the_last_board_known(monkeypatch):
    add("ann", 10, "k1")
    reconcile.rebuild_ranking()
    known = services.get_board()
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda players: None)
        moderate("ann", Action.BAN)
    ranking._breaker.failed(lost=True)

    def away(count):
        raise Unavailable

    monkeypatch.setattr(repository, "nominees", away)
    time.sleep(index_board.GOOD_FOR_S)
    board = services.get_board()
    assert board.stale and board.as_of == known.as_of


def test_a_moderation_outlasts_a_failure_on_the_way_to_redis(monkeypatch):
    add("ann", 10, "k1")
    reconcile.rebuild_ranking()
    run, failures = ranking.Ranking._run, [1, 2, 3]

    def shaky(*args, **kwargs):
        if failures:
            failures.pop()
            raise RankingUnavailable("a connection broke")
        return run(*args, **kwargs)

    monkeypatch.setattr(ranking.Ranking, "_run", shaky)
    moderate("ann", Action.BAN)
    assert stage.board().rows == () and merging.unmerged(10) == []


def test_a_moderation_waits_for_redis_no_longer_than_others_need_to_notice_and_not_every_time(monkeypatch):
    add("ann", 10, "k1")

    def away(*args, **kwargs):
        raise RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "_run", away)
    breaker = ranking.Breaker()
    monkeypatch.setattr(ranking, "_breaker", breaker)
    breaker.failed()
    breaker.failed()
    began = time.monotonic()
    moderate("ann", Action.HIDE)
    assert merging.INSIST_S <= time.monotonic() - began < merging.INSIST_S + 1
    assert merging.unmerged(10) == ["ann"]
    began = time.monotonic()
    moderate("ann", Action.UNHIDE)
    assert time.monotonic() - began < 0.5


def test_a_ban_that_redis_has_missed_holds_when_it_comes_back(monkeypatch):
    add("ann", 10, "k1")
    reconcile.rebuild_ranking()
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda players: None)
        moderate("ann", Action.BAN)
    ranking._breaker.failed(lost=True)
    assert [row.user_id for row in stage.board().rows] == ["ann"]
    assert services.get_board().rows == ()


def test_a_board_from_the_index_is_confirmed_by_the_table():
    for number in range(12):
        add(f"u{number}", 10 + number, "k")
    ranking._client().flushall()
    assert services.get_board().rows == stage.true_rows()
    assert len(services.get_board().rows) == 10


def test_standing_of_somebody_unknown_is_zero():
    add("ann", 10, "k1")
    reconcile.rebuild_ranking(full=True)
    assert services.get_standing(user_id="nobody").to_dict() == {
        "userId": "nobody",
        "score": 0,
        "rank": None,
        "total": 1,
        "pointsToTop10": 0,
    }


def test_standing_is_exact_and_repairs_what_it_sees():
    for number in range(12):
        add(f"u{number:02}", 100 - number, "k")
    reconcile.rebuild_ranking(full=True)
    ranking._client().hdel(merging.current_ranking()._key("players"), "u11")
    ranking._client().zrem(merging.current_ranking()._key("ranking"), repository.read_player("u11").member)
    standing = services.get_standing(user_id="u11")
    assert (standing.rank, standing.total, standing.points_to_top10) == (12, 12, 91 - 89 + 1)
    assert services.get_standing(user_id="u03").points_to_top10 == 0


def test_no_rank_is_better_than_a_wrong_one():
    add("ann", 10, "k1")
    ranking._client().flushall()
    standing = services.get_standing(user_id="ann")
    assert (standing.score, standing.rank, standing.total) == (10, None, None)

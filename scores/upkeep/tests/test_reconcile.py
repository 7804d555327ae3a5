"""Reconciling, rebuilding, the floor and the ledger check, on the real stores with the real numbers."""

from __future__ import annotations

import time
from io import StringIO
from itertools import islice
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from scores.board import merging, services
from scores.board.tests.test_services import add, moderate
from scores.management.commands import rebuild_ranking as rebuild_command
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.boards import BOARD_ID
from scores.rules.errors import Unavailable
from scores.rules.players import Player, State
from scores.stores import dynamodb, ranking, repository, tables
from scores.upkeep import reconcile
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


def reconcile_now():
    ranking._client().delete(merging.current_ranking()._key("lock:reconcile"))
    return reconcile.reconcile_ranking()


def store(count, prefix="p", best=10_000):
    """`count` players straight into the table, the first with the highest score."""
    with tables.UserScore.batch_write() as batch:
        for number in range(count):
            player = Player(f"{prefix}{number:04}", best - number, 1, 1)
            item = tables.UserScore(player.user_id, BOARD_ID, contender=BOARD_ID)
            for field in ("score", "version", "reached_at", "rank_key"):
                setattr(item, field, getattr(player, field))
            item.state = State.ACTIVE.value
            batch.save(item)


def test_nothing_to_repair_is_the_normal_life():
    reconcile.reconcile_ranking()
    for number in range(12):
        add(f"u{number}", 10 + number, "k")
    assert [reconcile_now(), reconcile_now()] == [0, 0]
    assert reconcile.ranking_repairs_total == 0


@pytest.mark.parametrize("action", [Action.HIDE, Action.BAN, Action.ERASE, Action.ADJUST])
def test_a_lost_merge_of_a_moderation_is_repaired_in_one_round(action, monkeypatch):
    reconcile.reconcile_ranking()
    for number in range(12):
        add(f"u{number:02}", 10 + number, "k")
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda players: None)
        moderate("u11", action, **({"amount": -20} if action is Action.ADJUST else {}))
    assert stage.board().rows[0].user_id == "u11"
    assert reconcile_now() == 1
    assert stage.board().rows == stage.true_rows()
    assert reconcile.ranking_repairs_total == 1


def test_another_process_has_the_round():
    reconcile.reconcile_ranking()
    assert reconcile.reconcile_ranking() == 0
    assert merging.current_ranking().lock("reconcile", 1) is None


def test_a_flushed_ranking_is_rebuilt_in_one_round():
    for number in range(12):
        add(f"u{number}", 10 + number, "k")
    reconcile.reconcile_ranking()
    before = stage.board()
    ranking._client().flushall()
    reconcile_now()
    assert stage.board().rows == before.rows
    assert stage.board().revision > before.revision


def test_who_died_while_scanning_is_in_nobodys_way():
    store(reconcile.MIN_CONTENDERS)
    assert merging.current_ranking().lock("scan", 60_000)
    reconcile_now()  # the index is enough, nothing needs to be scanned
    assert stage.board().rows == stage.true_rows()
    assert reconcile.SCAN_LOCK_MS <= 2000  # where a scan is needed, the board is right within five seconds


def test_a_scan_that_failed_gives_its_lock_back(monkeypatch):
    def torn(scan=repository.scan_players):
        yield from islice(scan(), 5)
        raise Unavailable

    store(12)
    with monkeypatch.context() as cut:
        cut.setattr(repository, "scan_players", torn)
        with pytest.raises(Unavailable):
            reconcile.rebuild_ranking()
    assert not merging.current_ranking().is_ready()
    assert reconcile.rebuild_ranking()
    assert stage.board().rows == stage.true_rows()


def test_one_scan_at_a_time_however_slow(monkeypatch):
    store(12)
    ours = merging.current_ranking()
    others = []

    def progress(merged):
        time.sleep(0.1)
        others.append(reconcile.rebuild_ranking(full=True))

    monkeypatch.setattr(reconcile, "SCAN_LOCK_MS", 300)
    assert reconcile.rebuild_ranking(full=True, pace=3, progress=progress)
    assert others == [False] * 4 and ours.is_full()
    assert reconcile.rebuild_ranking(full=True)


def test_a_restored_table_has_a_new_ranking():
    add("ann", 10, "k")
    reconcile.reconcile_ranking()
    old = merging.current_ranking()
    tables.UserScore("ann", BOARD_ID).delete()
    tables.TableState("#table", BOARD_ID).update([tables.TableState.generation.set("restored")])
    reconcile_now()
    assert merging.current_ranking().generation == "restored" != old.generation
    assert stage.board().rows == () != old.board().rows


def test_a_player_who_is_not_in_the_table_leaves_the_board():
    add("ann", 10, "k")
    reconcile.reconcile_ranking()
    tables.UserScore("ann", BOARD_ID).delete()
    assert reconcile_now() == 1
    assert stage.board().rows == ()


def test_an_ended_ban_restores_the_row_by_itself(monkeypatch):
    add("ann", 10, "k")
    reconcile.reconcile_ranking()
    moderate("ann", Action.BAN, until=services.now_ms() + 1000)
    reconcile_now()
    assert stage.board().rows == ()
    later = services.now_ms() + 2000
    monkeypatch.setattr(services, "now_ms", lambda: later)
    reconcile_now()
    assert [row.user_id for row in stage.board().rows] == ["ann"]
    assert [e.kind for e in repository.read_ledger("ann") if e.actor == "scoreboard"] == ["unban"]
    assert reconcile.verify_ledger() == (1, [])


def test_below_the_floor_an_update_costs_no_index_write(monkeypatch):
    store(250)
    reconcile.rebuild_ranking(full=True)
    monkeypatch.setattr(reconcile, "FLOOR_DUE_S", -1.0)
    reconcile_now()
    assert repository.read_state().floor == 10_000 - 199
    assert merging.current_ranking().guess("x") == (None, 10_000 - 199)
    add("low", 5, "k")
    add("p0000", 5, "k")
    indexed = {player.user_id: inside for player, inside in repository.scan_players()}
    assert not indexed["low"] and indexed["p0000"]


def test_while_redis_is_away_the_recorded_floor_keeps_updates_out_of_the_index(monkeypatch):
    store(250)
    reconcile.rebuild_ranking(full=True)
    monkeypatch.setattr(reconcile, "FLOOR_DUE_S", -1.0)
    reconcile_now()  # records the floor
    reconcile_now()  # sees it

    def away(*_):
        raise ranking.RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "guess", away)
    add("low", 5, "k")
    add("p0000", 5, "k")
    repository.drop_floor(services.now_ms())
    monkeypatch.setattr(ranking.Ranking, "is_ready", away)
    with pytest.raises(ranking.RankingUnavailable):
        reconcile_now()
    add("after-the-drop", 5, "k")
    indexed = {player.user_id: inside for player, inside in repository.scan_players()}
    assert not indexed["low"]
    assert indexed["p0000"] and indexed["after-the-drop"]


def test_a_recorded_floor_is_forgotten_in_time(monkeypatch):
    merging.remember_floor(50)
    assert merging.recorded_floor() == 50
    later = time.monotonic() + merging.RECORDED_FLOOR_S + 1
    monkeypatch.setattr(merging, "time", SimpleNamespace(monotonic=lambda: later))
    assert merging.recorded_floor() == 0
    assert merging.RECORDED_FLOOR_S + services.DEADLINE_S < reconcile.FLOOR_GRACE_MS / 1000


def test_three_hundred_bans_at_the_top_leave_the_true_board(monkeypatch):
    store(320)
    reconcile.rebuild_ranking(full=True)
    monkeypatch.setattr(reconcile, "FLOOR_DUE_S", -1.0)
    reconcile_now()
    add("low", 5, "k")  # not in the index
    for number in range(300):
        with monkeypatch.context() as lost:
            if number % 3 == 0:
                lost.setattr(moderating, "insist", lambda players: None)
            moderate(f"p{number:04}", Action.BAN)
        if number == 150:
            ranking._client().flushall()
        if number % 50 == 0:
            reconcile_now()
    reconcile_now()
    assert stage.board().rows == stage.true_rows()
    ranking._client().flushall()
    reconcile_now()
    assert stage.board().rows == stage.true_rows()
    assert stage.board().rows[0].user_id == "p0300"
    # The level recorded afterwards holds again: the index alone makes the true board.
    monkeypatch.setattr(reconcile, "FLOOR_GRACE_MS", 0)
    for _ in range(3):
        reconcile_now()
    state = repository.read_state()
    assert state.floor == 0 and state.floor_dropped_at is None
    assert "low" in [user_id for user_id, _ in repository.nominees(200)]


def test_a_process_that_may_not_scan_leaves_that_to_the_one_beside_it(monkeypatch, settings):
    def scan():
        raise AssertionError("scanned")

    add("ann", 10, "k1")
    with monkeypatch.context() as web:
        web.setattr(repository, "scan_players", scan)
        settings.SCOREBOARD_MAY_SCAN = False
        reconcile.reconcile_ranking()
        assert merging.current_ranking().board() is None
        assert [row.user_id for row in services.get_board().rows] == ["ann"]
    settings.SCOREBOARD_MAY_SCAN = True
    filler = rebuild_command.Command()
    assert filler._is_wanted()
    assert reconcile.rebuild_ranking(full=True)
    assert not filler._is_wanted()
    assert [row.user_id for row in stage.board().rows] == ["ann"]
    # A dropped floor wants a scan at once and one that settles it, not one after the other.
    dropped_at = services.now_ms()
    repository.drop_floor(dropped_at)
    assert filler._is_wanted() and not filler._is_wanted()
    monkeypatch.setattr(services, "now_ms", lambda: dropped_at + reconcile.FLOOR_GRACE_MS)
    assert filler._is_wanted()
    assert reconcile.rebuild_ranking(full=True)
    assert repository.read_state().floor_dropped_at is None
    assert not filler._is_wanted()


def test_the_commands_report_and_fail_clearly(capsys):
    add("ann", 10, "k1")
    add("bob", 10, "k2")
    call_command("rebuild_ranking", full=True)
    assert merging.current_ranking().is_full()
    call_command("verify_ledger")
    assert "2 players checked, 0 broken" in capsys.readouterr().out
    with pytest.raises(CommandError, match="--watch needs --full"):
        call_command("rebuild_ranking", watch=True)


def test_a_broken_ledger_is_named_and_is_exit_status_one():
    for key in ("k1", "k2", "k3"):
        add("ann", 10, key)
        add("bob", 10, key)
    tables.LedgerEntry("ann", "k2").delete()
    tables.UserScore("carl", BOARD_ID).delete()
    out = StringIO()
    with pytest.raises(SystemExit) as exited:
        call_command("verify_ledger", stdout=out)
    assert exited.value.code == 1
    assert "ann: version 2 is missing" in out.getvalue()
    assert "bob" not in out.getvalue()


def test_a_ledger_without_its_player_is_broken():
    add("ann", 10, "k1")
    tables.UserScore("ann", BOARD_ID).delete()
    assert [broken.user_id for broken in reconcile.verify_ledger()[1]] == ["ann"]


def test_creating_tables_again_changes_nothing():
    generation = repository.read_state().generation
    out = StringIO()
    call_command("create_tables", stdout=out)
    assert "nothing to do" in out.getvalue()
    assert repository.read_state().generation == generation


def test_the_ledger_forgets_updates_after_its_days_and_moderation_never():
    add("ann", 10, "k1")
    moderate("ann", Action.HIDE)
    entries = {e.kind: e for e in repository.read_ledger("ann")}
    assert entries["update"].expires_at == entries["update"].at // 1000 + 30 * 86_400
    assert entries["hide"].expires_at is None
    status = dynamodb.connection().client.describe_time_to_live(TableName="ScoreLedger")
    assert status["TimeToLiveDescription"]["AttributeName"] == "expiresAt"

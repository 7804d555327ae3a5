"""Reconciling, rebuilding, the floor and the ledger check, on the real stores with the real numbers."""

from __future__ import annotations

import time
from io import StringIO
from itertools import islice
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from scores.board import reading, scoreboard, writing
from scores.board.tests.test_adding import add, moderate
from scores.management.commands import rebuild_ranking as rebuild_command
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.boards import DEFAULT_BOARD
from scores.rules.errors import Unavailable
from scores.rules.players import Player, State
from scores.stores import cache, dynamodb, ledger, ranking, tables
from scores.stores.players import PlayerTable
from scores.upkeep import floor, rebuild, reconcile, verify
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


def reconcile_now():
    stage.scoreboard().cache.client.delete(stage.scoreboard().ranking()._key("lock:reconcile"))
    return reconcile.reconcile_ranking(stage.scoreboard())


def store(count, prefix="p", best=10_000):
    """`count` players straight into the table, the first with the highest score."""
    with tables.UserScore.batch_write() as batch:
        for number in range(count):
            player = Player(f"{prefix}{number:04}", best - number, 1, 1)
            item = tables.UserScore(player.user_id, DEFAULT_BOARD, contender=DEFAULT_BOARD)
            for field in ("score", "version", "reached_at", "rank_key"):
                setattr(item, field, getattr(player, field))
            item.state = State.ACTIVE.value
            batch.save(item)


def test_nothing_to_repair_is_the_normal_life():
    reconcile.reconcile_ranking(stage.scoreboard())
    for number in range(12):
        add(f"u{number}", 10 + number, "k")
    assert [reconcile_now(), reconcile_now()] == [0, 0]
    assert stage.scoreboard().repairs == 0


@pytest.mark.parametrize("action", [Action.HIDE, Action.BAN, Action.ERASE, Action.ADJUST])
def test_a_lost_merge_of_a_moderation_is_repaired_in_one_round(action, monkeypatch):
    reconcile.reconcile_ranking(stage.scoreboard())
    for number in range(12):
        add(f"u{number:02}", 10 + number, "k")
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda *_: None)
        moderate("u11", action, **({"amount": -20} if action is Action.ADJUST else {}))
    assert stage.board().rows[0].user_id == "u11"
    assert reconcile_now() == 1
    assert stage.board().rows == stage.true_rows()
    assert stage.scoreboard().repairs == 1


def test_another_process_has_the_round():
    reconcile.reconcile_ranking(stage.scoreboard())
    assert reconcile.reconcile_ranking(stage.scoreboard()) == 0
    assert stage.scoreboard().ranking().lock("reconcile", 1) is None


def test_a_flushed_ranking_is_rebuilt_in_one_round():
    for number in range(12):
        add(f"u{number}", 10 + number, "k")
    reconcile.reconcile_ranking(stage.scoreboard())
    before = stage.board()
    stage.scoreboard().cache.client.flushall()
    reconcile_now()
    assert stage.board().rows == before.rows
    assert stage.board().revision > before.revision


def test_who_died_while_scanning_is_in_nobodys_way():
    store(rebuild.MIN_CONTENDERS)
    assert stage.scoreboard().ranking().lock("scan", 60_000)
    reconcile_now()  # the index is enough, nothing needs to be scanned
    assert stage.board().rows == stage.true_rows()
    assert rebuild.SCAN_LOCK_MS <= 2000  # where a scan is needed, the board is right within five seconds


def test_a_scan_that_failed_gives_its_lock_back(monkeypatch):
    def torn(players, scan=PlayerTable.scan):
        yield from islice(scan(players), 5)
        raise Unavailable

    store(12)
    with monkeypatch.context() as cut:
        cut.setattr(PlayerTable, "scan", torn)
        with pytest.raises(Unavailable):
            rebuild.rebuild_ranking(stage.scoreboard())
    assert not stage.scoreboard().ranking().is_ready()
    assert rebuild.rebuild_ranking(stage.scoreboard())
    assert stage.board().rows == stage.true_rows()


def test_one_scan_at_a_time_however_slow(monkeypatch):
    store(12)
    ours = stage.scoreboard().ranking()
    others = []

    def progress(merged):
        time.sleep(0.1)
        others.append(rebuild.rebuild_ranking(stage.scoreboard(), full=True))

    monkeypatch.setattr(rebuild, "SCAN_LOCK_MS", 300)
    assert rebuild.rebuild_ranking(stage.scoreboard(), full=True, pace=3, progress=progress)
    assert others == [False] * 4 and ours.is_full()
    assert rebuild.rebuild_ranking(stage.scoreboard(), full=True)


def test_a_restored_table_has_a_new_ranking():
    add("ann", 10, "k")
    reconcile.reconcile_ranking(stage.scoreboard())
    old = stage.scoreboard().ranking()
    tables.UserScore("ann", DEFAULT_BOARD).delete()
    tables.TableState("#table", DEFAULT_BOARD).update([tables.TableState.generation.set("restored")])
    reconcile_now()
    assert stage.scoreboard().ranking().generation == "restored" != old.generation
    assert stage.board().rows == () != old.board().rows


def test_a_player_who_is_not_in_the_table_leaves_the_board():
    add("ann", 10, "k")
    reconcile.reconcile_ranking(stage.scoreboard())
    tables.UserScore("ann", DEFAULT_BOARD).delete()
    assert reconcile_now() == 1
    assert stage.board().rows == ()


def test_an_ended_ban_restores_the_row_by_itself(monkeypatch):
    add("ann", 10, "k")
    reconcile.reconcile_ranking(stage.scoreboard())
    moderate("ann", Action.BAN, until=stage.scoreboard().now_ms() + 1000)
    reconcile_now()
    assert stage.board().rows == ()
    later = stage.scoreboard().now_ms() + 2000
    monkeypatch.setattr(stage.scoreboard(), "now_ms", lambda: later)
    reconcile_now()
    assert [row.user_id for row in stage.board().rows] == ["ann"]
    assert [e.kind for e in ledger.read_all("ann") if e.actor == "scoreboard"] == ["unban"]
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


def test_below_the_floor_an_update_costs_no_index_write(monkeypatch):
    store(250)
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    monkeypatch.setattr(floor, "FLOOR_DUE_S", -1.0)
    reconcile_now()
    assert stage.scoreboard().players.read_state().floor == 10_000 - 199
    assert stage.scoreboard().ranking().guess("x") == (None, 10_000 - 199)
    add("low", 5, "k")
    add("p0000", 5, "k")
    indexed = {player.user_id: inside for player, inside in stage.scoreboard().players.scan()}
    assert not indexed["low"] and indexed["p0000"]


def test_while_redis_is_away_the_recorded_floor_keeps_updates_out_of_the_index(monkeypatch):
    store(250)
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    monkeypatch.setattr(floor, "FLOOR_DUE_S", -1.0)
    reconcile_now()  # records the floor
    reconcile_now()  # sees it

    def away(*_):
        raise cache.RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "guess", away)
    add("low", 5, "k")
    add("p0000", 5, "k")
    stage.scoreboard().players.drop_floor(stage.scoreboard().now_ms())
    monkeypatch.setattr(ranking.Ranking, "is_ready", away)
    with pytest.raises(cache.RankingUnavailable):
        reconcile_now()
    add("after-the-drop", 5, "k")
    indexed = {player.user_id: inside for player, inside in stage.scoreboard().players.scan()}
    assert not indexed["low"]
    assert indexed["p0000"] and indexed["after-the-drop"]


def test_a_recorded_floor_is_forgotten_in_time(monkeypatch):
    stage.scoreboard().remember_floor(50)
    assert stage.scoreboard().recorded_floor() == 50
    later = time.monotonic() + scoreboard.RECORDED_FLOOR_S + 1
    monkeypatch.setattr(scoreboard, "time", SimpleNamespace(monotonic=lambda: later))
    assert stage.scoreboard().recorded_floor() == 0
    assert scoreboard.RECORDED_FLOOR_S + writing.DEADLINE_S < rebuild.FLOOR_GRACE_MS / 1000


def test_three_hundred_bans_at_the_top_leave_the_true_board(monkeypatch):
    store(320)
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    monkeypatch.setattr(floor, "FLOOR_DUE_S", -1.0)
    reconcile_now()
    add("low", 5, "k")  # not in the index
    for number in range(300):
        with monkeypatch.context() as lost:
            if number % 3 == 0:
                lost.setattr(moderating, "insist", lambda *_: None)
            moderate(f"p{number:04}", Action.BAN)
        if number == 150:
            stage.scoreboard().cache.client.flushall()
        if number % 50 == 0:
            reconcile_now()
    reconcile_now()
    assert stage.board().rows == stage.true_rows()
    stage.scoreboard().cache.client.flushall()
    reconcile_now()
    assert stage.board().rows == stage.true_rows()
    assert stage.board().rows[0].user_id == "p0300"
    # The level recorded afterwards holds again: the index alone makes the true board.
    monkeypatch.setattr(rebuild, "FLOOR_GRACE_MS", 0)
    for _ in range(3):
        reconcile_now()
    state = stage.scoreboard().players.read_state()
    assert state.floor == 0 and state.floor_dropped_at is None
    assert "low" in [user_id for user_id, _ in stage.scoreboard().players.nominees(200)]


def test_a_process_that_may_not_scan_leaves_that_to_the_one_beside_it(monkeypatch, settings):
    def scan(players):
        raise AssertionError("scanned")

    add("ann", 10, "k1")
    with monkeypatch.context() as web:
        web.setattr(PlayerTable, "scan", scan)
        settings.SCOREBOARD_MAY_SCAN = False
        reconcile.reconcile_ranking(stage.scoreboard())
        assert stage.scoreboard().ranking().board() is None
        assert [row.user_id for row in reading.get_board(stage.scoreboard()).rows] == ["ann"]
    settings.SCOREBOARD_MAY_SCAN = True
    filler = rebuild_command.Command()
    assert filler._is_wanted()
    assert rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    assert not filler._is_wanted()
    assert [row.user_id for row in stage.board().rows] == ["ann"]
    # A dropped floor wants a scan at once and one that settles it, not one after the other.
    dropped_at = stage.scoreboard().now_ms()
    stage.scoreboard().players.drop_floor(dropped_at)
    assert filler._is_wanted() and not filler._is_wanted()
    monkeypatch.setattr(stage.scoreboard(), "now_ms", lambda: dropped_at + rebuild.FLOOR_GRACE_MS)
    assert filler._is_wanted()
    assert rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    assert stage.scoreboard().players.read_state().floor_dropped_at is None
    assert not filler._is_wanted()


def test_the_commands_report_and_fail_clearly(capsys):
    add("ann", 10, "k1")
    add("bob", 10, "k2")
    call_command("rebuild_ranking", full=True)
    assert stage.scoreboard().ranking().is_full()
    call_command("verify_ledger")
    assert "2 players checked, 0 broken" in capsys.readouterr().out
    with pytest.raises(CommandError, match="--watch needs --full"):
        call_command("rebuild_ranking", watch=True)


def test_a_broken_ledger_is_named_and_is_exit_status_one():
    for key in ("k1", "k2", "k3"):
        add("ann", 10, key)
        add("bob", 10, key)
    tables.LedgerEntry("ann", "k2").delete()
    tables.UserScore("carl", DEFAULT_BOARD).delete()
    out = StringIO()
    with pytest.raises(SystemExit) as exited:
        call_command("verify_ledger", stdout=out)
    assert exited.value.code == 1
    assert "ann: version 2 is missing" in out.getvalue()
    assert "bob" not in out.getvalue()


def test_a_ledger_without_its_player_is_broken():
    add("ann", 10, "k1")
    tables.UserScore("ann", DEFAULT_BOARD).delete()
    assert [broken.user_id for broken in verify.verify_ledger(stage.scoreboard())[1]] == ["ann"]


def test_creating_tables_again_changes_nothing():
    generation = stage.scoreboard().players.read_state().generation
    out = StringIO()
    call_command("create_tables", stdout=out)
    assert "nothing to do" in out.getvalue()
    assert stage.scoreboard().players.read_state().generation == generation


def test_the_ledger_forgets_updates_after_its_days_and_moderation_never():
    add("ann", 10, "k1")
    moderate("ann", Action.HIDE)
    entries = {e.kind: e for e in ledger.read_all("ann")}
    assert entries["update"].expires_at == entries["update"].at // 1000 + 30 * 86_400
    assert entries["hide"].expires_at is None
    status = dynamodb.connection().client.describe_time_to_live(TableName="ScoreLedger")
    assert status["TimeToLiveDescription"]["AttributeName"] == "expiresAt"

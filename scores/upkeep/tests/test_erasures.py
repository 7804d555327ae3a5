"""Erasing: a stub is left without personal data, and the sweep of the ledger ends whatever dies."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scores.board.tests.test_adding import moderate
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.boards import DEFAULT_BOARD
from scores.rules.errors import KeyReused, Unavailable
from scores.rules.players import Player, State
from scores.stores import erasure_marks, ledger, ranking, tables
from scores.stores.cache import RankingUnavailable
from scores.upkeep import erasures, rebuild, reconcile, verify
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")

NAMES = ("Zoë Fairweather", "Zed")


def live_and_erase():
    """A player who had names and dealings with moderators, and is erased."""
    stage.add("ann", 10, "k1")
    moderating.rename(stage.scoreboard(), user_id="ann", name=NAMES[0])
    moderate("ann", Action.ADJUST, amount=-4)
    moderate("ann", Action.RENAME, name=NAMES[1])
    stage.add("ann", 5, "k2")
    moderating.moderate(
        stage.scoreboard(),
        user_id="ann",
        action=Action.ERASE,
        actor="mod",
        reason="asked for it",
        expected_version=None,
        entry_id="MOD#Z",
    )


def personal(user_id="ann"):
    """What the ledger still says about a person."""
    text = repr(ledger.read_all(user_id))
    return [word for word in (*NAMES, "because", "Person ") if word in text]


def reconcile_now():
    stage.scoreboard().cache.client.delete(stage.scoreboard().ranking()._key("lock:reconcile"))
    return reconcile.reconcile_ranking(stage.scoreboard())


def test_an_erased_player_leaves_a_stub_and_a_ledger_without_personal_data():
    live_and_erase()
    assert stage.scoreboard().players.read("ann") == Player(
        "ann", 0, 6, stage.scoreboard().players.read("ann").reached_at, state=State.ERASED
    )
    assert personal()
    before = {e.entry_id: e for e in ledger.read_all("ann")}
    assert erasures.sweep_erased(stage.scoreboard()) == 1
    assert personal() == []
    for entry in ledger.read_all("ann"):
        old = before[entry.entry_id]
        kept = (
            "kind",
            "increment",
            "new_score",
            "version",
            "at",
            "previous_at",
            "request_hash",
            "expires_at",
        )
        assert [getattr(entry, name) for name in kept] == [getattr(old, name) for name in kept]
        assert (entry.actor is None) == (old.actor is None)
    assert {e.actor for e in ledger.read_all("ann")} == {None, "mod", "player"}
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])
    assert erasure_marks.marks(10) == []


def test_the_reason_of_an_erasure_stays_and_repeating_it_is_still_the_same():
    live_and_erase()
    erasures.sweep_erased(stage.scoreboard())
    assert [e.reason for e in ledger.read_all("ann") if e.kind == "erase"] == ["asked for it"]
    again = {"user_id": "ann", "action": Action.ERASE, "actor": "mod", "expected_version": 5}
    assert (
        moderating.moderate(stage.scoreboard(), reason="asked for it", entry_id="MOD#Z", **again).version == 6
    )
    with pytest.raises(KeyReused):
        moderating.moderate(stage.scoreboard(), reason="another", entry_id="MOD#Z", **again)


def test_the_entry_of_an_erasure_never_holds_the_name():
    live_and_erase()
    (entry,) = [e for e in ledger.read_all("ann") if e.kind == "erase"]
    assert NAMES[1] not in entry.before + entry.after
    assert entry.increment == -11


def test_points_that_were_counted_before_stay_counted_once():
    live_and_erase()
    erasures.sweep_erased(stage.scoreboard())
    assert stage.add("ann", 10, "k1") == 10  # what was answered then
    assert stage.scoreboard().players.read("ann").score == 0
    assert stage.add("ann", 3, "k3") == 3
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


def test_the_name_leaves_redis_although_the_merge_was_lost(monkeypatch):
    rebuild.rebuild_ranking(stage.scoreboard())
    with monkeypatch.context() as lost:
        lost.setattr(moderating, "insist", lambda *_: None)
        live_and_erase()
    current = stage.scoreboard().ranking()
    current.merge([Player("ann", 6, 5, 9, NAMES[1])])
    erasures.sweep_erased(stage.scoreboard())
    assert stage.scoreboard().cache.client.hget(current._key("players"), "ann").endswith("|0|")


def test_the_reconciler_sweeps_without_being_asked():
    live_and_erase()
    reconcile.reconcile_ranking(stage.scoreboard())
    reconcile_now()
    assert personal() == []


def test_the_reconciler_sweeps_and_ends_bans_while_redis_is_away(monkeypatch):
    live_and_erase()
    stage.add("bob", 7, "k")
    moderate("bob", Action.BAN, until=4 * 10**12)
    tables.UserScore("bob", DEFAULT_BOARD).update(
        [tables.UserScore.banned_until.set(5), tables.UserScore.flag_until.set(f"{5:015d}#bob")]
    )

    def away(*args, **kwargs):
        raise RankingUnavailable("away")

    monkeypatch.setattr(ranking.Ranking, "lock", away)
    monkeypatch.setattr(ranking.Ranking, "_run", away)
    with pytest.raises(RankingUnavailable):
        reconcile.reconcile_ranking(stage.scoreboard())
    assert personal() == []
    assert stage.scoreboard().players.read("bob").state is State.ACTIVE


def test_who_comes_back_before_the_sweep_keeps_the_new_name_and_loses_the_old_ones():
    live_and_erase()
    stage.add("ann", 3, "k3")
    moderating.rename(stage.scoreboard(), user_id="ann", name="Person New")
    erasures.sweep_erased(stage.scoreboard())
    assert personal() == ["Person "]
    assert stage.scoreboard().players.read("ann").name == "Person New"


def test_a_second_erasure_during_a_sweep_is_swept_as_well(monkeypatch):
    live_and_erase()
    monkeypatch.setattr(erasures, "SWEEP_PAGE", 2)
    advance, calls = erasure_marks.advance, []

    def erased_again(mark, after):
        if not calls:
            calls.append(1)
            stage.add("ann", 3, "k3")
            moderating.rename(stage.scoreboard(), user_id="ann", name="Person New")
            moderate("ann", Action.ERASE)
        return advance(mark, after)

    monkeypatch.setattr(erasure_marks, "advance", erased_again)
    erasures.sweep_erased(stage.scoreboard())
    assert "Person " not in personal()
    assert NAMES[0] not in personal()
    assert erasure_marks.marks(10) == []


def test_the_sweep_stops_in_time_and_goes_on_from_there(monkeypatch):
    many(60)
    assert erasures.sweep_erased(stage.scoreboard(), within_s=0) == 0
    (mark,) = erasure_marks.marks(10)
    assert mark.after is not None
    left = len(named())
    assert 0 < left < 60
    assert erasures.sweep_erased(stage.scoreboard(), within_s=0) == 0
    assert len(named()) < left
    while erasures.sweep_erased(stage.scoreboard(), within_s=0) == 0:
        pass
    assert named() == []


def test_a_store_that_fails_in_mid_sweep_leaves_the_mark(monkeypatch):
    live_and_erase()

    def away(entry):
        raise Unavailable

    with monkeypatch.context() as failing:
        failing.setattr(ledger, "replace", away)
        with pytest.raises(Unavailable):
            erasures.sweep_erased(stage.scoreboard())
    assert personal()
    assert erasures.sweep_erased(stage.scoreboard()) == 1
    assert personal() == []


def many(count):
    """An erased player with `count` names in the ledger, straight into the table."""
    stage.add("ann", 1, "k1")
    with tables.LedgerEntry.batch_write() as batch:
        for number in range(count):
            item = tables.LedgerEntry("ann", f"MOD#{number:06}", kind="rename", increment=0, new_score=1)
            item.version, item.at, item.previous_at = number + 2, 9, 9
            item.actor, item.reason = "ann", ""
            item.before = item.after = f'{{"score": 1, "name": "Person {number}"}}'
            batch.save(item)
    tables.UserScore("ann", DEFAULT_BOARD).update([tables.UserScore.version.set(count + 1)])
    moderate("ann", Action.ERASE)


def named():
    return [e.entry_id for e in ledger.read_all("ann") if "Person " in (e.before or "")]


def test_a_sweep_whose_process_is_killed_is_finished_by_another():
    many(500)
    sweep = subprocess.Popen(
        [sys.executable, "manage.py", "finish_erasures"], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert sweep.stderr
    try:
        progress = next(line for line in sweep.stderr if line.startswith("ann:"))
    finally:
        sweep.kill()
        sweep.wait()
        sweep.stderr.close()
    assert progress == "ann: 25 entries\n"
    left = named()
    assert 0 < len(left) <= 475
    (mark,) = erasure_marks.marks(10)
    assert mark.user_id == "ann"
    reconcile.reconcile_ranking(stage.scoreboard())
    while erasure_marks.marks(1):
        reconcile_now()
    assert named() == []
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])

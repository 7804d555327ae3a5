"""Moderating: what is refused, what is tried again, what is done once. On the real stores."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scores.board import writing
from scores.board.scoreboard import PlayerLocks
from scores.moderation import moderating, review
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.commits import Commit, Contended, EntryExists, Undecided
from scores.rules.entries import Entry
from scores.rules.errors import (
    Conflict,
    Invalid,
    KeyReused,
    OutcomeUnknown,
    Refused,
    ScoreboardError,
    Throttled,
    Unavailable,
    VersionMoved,
)
from scores.rules.players import MAX_SCORE
from scores.stores import ledger
from scores.stores.players import PlayerTable
from scores.upkeep import rebuild, verify
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def player():
    stage.add("ann", 10)
    return stage.scoreboard().players.read("ann")


def moderate(action=Action.HIDE, *, user_id="ann", actor="mod", reason="because", version=1, **options):
    return moderating.moderate(
        stage.scoreboard(),
        user_id=user_id,
        action=action,
        actor=actor,
        reason=reason,
        expected_version=version,
        **options,
    )


def unchanged():
    return stage.scoreboard().players.read("ann").version == 1 and len(ledger.read_all("ann")) == 1


# --- Refused --------------------------------------------------------------------------------------------


def test_an_order_that_makes_no_sense_changes_nothing(player):
    for options in ({"reason": " "}, {"entry_id": "key-1"}, {"action": Action.ADJUST}, {"user_id": "#table"}):
        with pytest.raises(Invalid):
            moderate(**options)
    assert unchanged()


@pytest.mark.parametrize(
    ("action", "options"),
    [
        (Action.UNHIDE, {}),
        (Action.UNBAN, {}),
        (Action.RENAME, {"name": None}),
        (Action.ADJUST, {"amount": -11}),
        (Action.ADJUST, {"amount": MAX_SCORE}),
        (Action.BAN, {"until": 1}),
    ],
)
def test_what_a_rule_forbids_is_refused_with_the_reason_and_changes_nothing(player, action, options):
    with pytest.raises(Refused, match=r"the|cannot|must"):
        moderate(action, **options)
    assert unchanged()


@pytest.mark.parametrize("action", Action)
def test_nothing_is_done_to_a_player_who_does_not_exist(action):
    options = {Action.ADJUST: {"amount": 5}, Action.RENAME: {"name": "Bo"}}.get(action, {})
    with pytest.raises(Refused, match="no player"):
        moderate(action, user_id="nobody", version=0, **options)
    assert not stage.scoreboard().players.read("nobody").version


def test_players_need_no_reason_for_their_own_name_and_are_the_actor(player):
    moderating.rename(stage.scoreboard(), user_id="ann", name="Ann")
    (entry,) = [e for e in ledger.read_all("ann") if e.actor]
    assert (entry.kind, entry.actor, entry.reason) == ("rename", "ann", "")


# --- Done once ------------------------------------------------------------------------------------------

ONCE = {
    Action.ADJUST: {"amount": 5},
    Action.RENAME: {"name": "Bo"},
    Action.BAN: {"until": 4 * 10**12},
    Action.HIDE: {},
    Action.ERASE: {},
}


@pytest.mark.parametrize("action", ONCE)
def test_a_repeated_order_is_one_action(player, action):
    versions = {moderate(action, entry_id="MOD#1", **ONCE[action]).version for _ in range(3)}
    assert versions == {2}
    assert len(ledger.read_all("ann")) == 2


def test_a_double_click_at_the_same_instant_is_one_action(player):
    barrier = threading.Barrier(8)

    def click(_):
        barrier.wait()
        return moderate(Action.ADJUST, amount=5, entry_id="MOD#1").score

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(click, range(8))) == {15}
    assert len(ledger.read_all("ann")) == 2
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


@pytest.mark.parametrize(
    "other",
    [
        {"action": Action.HIDE, "amount": 0},
        {"amount": 6},
        {"reason": "another"},
        {"actor": "other"},
    ],
    ids=repr,
)
def test_the_id_of_one_action_cannot_be_used_for_another(player, other):
    order = {"action": Action.ADJUST, "amount": 5, "entry_id": "MOD#1"}
    moderate(**order)
    with pytest.raises(KeyReused):
        moderate(**order | other)
    assert stage.scoreboard().players.read("ann").score == 15
    assert len(ledger.read_all("ann")) == 2


def test_a_repeated_ban_may_count_its_end_from_its_own_now_but_not_end_another_day(player):
    until = stage.scoreboard().now_ms() + 86_400_000
    moderate(Action.BAN, until=until, entry_id="MOD#1")
    assert moderate(Action.BAN, until=until + 900, entry_id="MOD#1").banned_until == until
    for other in (until + 86_400_000, None):
        with pytest.raises(KeyReused):
            moderate(Action.BAN, until=other, entry_id="MOD#1")


def test_the_ledger_is_append_only_also_for_an_entry_of_the_same_id(player):
    (first,) = ledger.read_all("ann")
    again = Entry("ann", first.entry_id, "hide", 0, 10, 2, 9, 0, actor="mod", reason="x")
    with pytest.raises(EntryExists):
        stage.scoreboard().players.commit(Commit(again, player, player, 9), floor=0)
    assert ledger.read_all("ann") == [first]


def test_without_an_expected_version_a_player_who_keeps_scoring_can_be_banned(player):
    stop = threading.Event()

    def cheat():
        while not stop.is_set():
            try:
                stage.add("ann", 1)
            except ScoreboardError:
                return

    cheats = [threading.Thread(target=cheat) for _ in range(3)]
    for thread in cheats:
        thread.start()
    try:
        banned = moderate(Action.BAN, version=None)
    finally:
        stop.set()
        for thread in cheats:
            thread.join()
    assert stage.scoreboard().players.read("ann") == banned
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


# --- Tried again ----------------------------------------------------------------------------------------


def hurry(monkeypatch):
    """A write has a tenth of its usual time."""
    monkeypatch.setattr(writing, "DEADLINE_S", writing.DEADLINE_S / 10)
    monkeypatch.setattr(writing, "READ_TIMEOUT_S", writing.READ_TIMEOUT_S / 10)


def failing(monkeypatch, *failures, then_write=False):
    """The next commits end in these failures; those in `then_write` mode after having been written."""
    commit, left = PlayerTable.commit, list(failures)

    def fail(*args, **kwargs):
        if left:
            failure = left.pop(0)
            if then_write:
                commit(*args, **kwargs)
            raise failure
        commit(*args, **kwargs)

    monkeypatch.setattr(PlayerTable, "commit", fail)


@pytest.mark.parametrize("failure", [Contended, Throttled, Undecided])
def test_a_passing_failure_is_tried_again(player, monkeypatch, failure):
    failing(monkeypatch, failure(), failure())
    assert moderate(Action.ADJUST, amount=5).score == 15
    assert len(ledger.read_all("ann")) == 2


def test_an_action_whose_answer_was_lost_is_done_once_and_reported_as_done(player, monkeypatch):
    failing(monkeypatch, Undecided(), then_write=True)
    assert moderate(Action.ADJUST, amount=5).score == 15
    assert len(ledger.read_all("ann")) == 2


def test_whatever_fails_and_how_often_each_action_is_done_once(player, monkeypatch):
    hurry(monkeypatch)
    dice, commit = random.Random(7), PlayerTable.commit
    struck = []

    def unlucky(*args, **kwargs):
        written = dice.random() < 0.5
        if written:
            commit(*args, **kwargs)
        if not written or dice.random() < 0.5:
            struck.append(written)
            raise Undecided if written else dice.choice([Undecided, Throttled])()

    monkeypatch.setattr(PlayerTable, "commit", unlucky)
    for number in range(20):
        version = stage.scoreboard().players.read("ann").version
        order = {"amount": 2**number, "entry_id": f"MOD#{number}", "version": version}
        while True:
            try:
                moderate(Action.ADJUST, **order)
                break
            except Unavailable:
                pass
    assert set(struck) == {True, False}
    assert stage.scoreboard().players.read("ann").score == 10 + 2**20 - 1
    assert len(ledger.read_all("ann")) == 21
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


@pytest.mark.parametrize(("failure", "error"), [(Contended, Conflict), (Throttled, Throttled)])
def test_a_failure_that_stays_is_an_error_in_time_and_changes_nothing(player, monkeypatch, failure, error):
    hurry(monkeypatch)
    failing(monkeypatch, *[failure() for _ in range(100)])
    with pytest.raises(error):
        moderate(Action.ADJUST, amount=5)
    assert unchanged()


def test_an_unknown_outcome_names_the_id_with_which_it_is_done_once(player, monkeypatch):
    with monkeypatch.context() as lost:
        hurry(lost)
        failing(lost, *[Undecided() for _ in range(100)])
        with pytest.raises(OutcomeUnknown, match="MOD#form-1"):
            moderate(Action.ADJUST, amount=5, entry_id="MOD#form-1")
    assert moderate(Action.ADJUST, amount=5, entry_id="MOD#form-1").score == 15


def test_a_table_that_goes_away_after_an_unknown_try_leaves_it_unknown(player, monkeypatch):
    failing(monkeypatch, Undecided(), Unavailable())
    with pytest.raises(OutcomeUnknown):
        moderate()


def test_a_stale_form_is_refused_also_when_the_player_moves_in_between(player, monkeypatch):
    commit = PlayerTable.commit

    def slow(*args, **options):
        with monkeypatch.context() as other_process:
            other_process.setattr(PlayerTable, "commit", commit)
            stage.add("ann", 1, "meanwhile")
        commit(*args, **options)

    monkeypatch.setattr(PlayerTable, "commit", slow)
    monkeypatch.setattr(PlayerLocks, "hold", lambda *_: contextlib.nullcontext())
    with pytest.raises(VersionMoved):
        moderate(version=1)
    assert [e.kind for e in ledger.read_all("ann")] == ["update", "update"]


# --- Looking ahead --------------------------------------------------------------------------------------


def test_a_preview_shows_what_the_action_then_does(player):
    for number in range(12):
        stage.add(f"u{number:02}", 100 + number)
    rebuild.rebuild_ranking(stage.scoreboard())
    seen = review.preview(stage.scoreboard(), user_id="u11", action=Action.BAN)
    assert [row.user_id for row in seen.rows_before] == [f"u{n:02}" for n in range(11, 1, -1)]
    assert [row.user_id for row in seen.rows_after] == [f"u{n:02}" for n in range(10, 0, -1)]
    assert stage.board().rows == seen.rows_before
    assert moderate(Action.BAN, user_id="u11") == seen.after
    assert stage.board().rows == seen.rows_after


def test_a_preview_needs_no_redis(player, monkeypatch):
    from scores.stores.cache import RankingUnavailable
    from scores.stores.ranking import Ranking

    def away(*args, **kwargs):
        raise RankingUnavailable("away")

    monkeypatch.setattr(Ranking, "top", away)
    seen = review.preview(stage.scoreboard(), user_id="ann", action=Action.ADJUST, amount=-3)
    assert (seen.before.score, seen.after.score, seen.rows_after[0].score) == (10, 7, 7)
    with pytest.raises(Refused):
        review.preview(stage.scoreboard(), user_id="ann", action=Action.UNHIDE)
    with pytest.raises(Invalid):
        review.preview(stage.scoreboard(), user_id="ann", action=Action.ADJUST)


def test_before_and_after_are_on_record(player):
    moderate(Action.BAN, until=4 * 10**12)
    (entry,) = [e for e in ledger.read_all("ann") if e.actor]
    assert json.loads(entry.before) == {"score": 10, "name": None, "state": "active", "bannedUntil": None}
    assert json.loads(entry.after) == {
        "score": 10,
        "name": None,
        "state": "banned",
        "bannedUntil": 4 * 10**12,
    }
    assert audit_trail.audit_line(entry)["before"]["state"] == "active"

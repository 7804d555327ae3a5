"""The checker must find what was planted: in the real tables after real updates, and in what was seen."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator

import pytest

from tools.faults.checks.checker import check
from tools.faults.checks.evidence import Evidence, Limits, Moderated, doubled, lost
from tools.faults.checks.truth import Truth
from tools.faults.checks.watch import Probe, Read, Resources
from tools.faults.traffic.journal import Attempt, Reply
from tools.faults.traffic.viewers import Page, Seen
from tools.faults.traffic.writers import HttpSender

_names = (f"planted-{number}" for number in itertools.count())


@pytest.fixture
def player(stage) -> Iterator[str]:
    """A player of this test's own, removed afterwards."""
    player = next(_names)
    yield player
    for item in stage.tables.items("ScoreLedger"):
        if item["userId"] == player:
            stage.tables.delete("ScoreLedger", userId=player, entryId=item["entryId"])
    stage.tables.delete("UserScores", userId=player, board="SCOREBOARD")


@pytest.fixture
def evidence(stage, player) -> Evidence:
    """Five updates of one player and one of a rival, and nothing wrong."""
    before = stage.tables.read()
    send = HttpSender(stage.ports, stage.token())
    names = [player] * 5 + ["rival"]
    attempts = [Attempt(f"{player}-{n}", name, 11 + n, time.monotonic()) for n, name in enumerate(names)]
    for attempt in attempts:
        attempt.replies.append(send(attempt))
    send.close()
    found = Evidence(before, stage.tables.read(), attempts)
    found.ranking = found.after.rows
    assert check(found) == []
    return found


def found_in(evidence, *invariants):
    """The violations of these invariants; no others are there."""
    violations = check(evidence)
    assert {v.invariant for v in violations} == set(invariants), violations
    return [v.what for v in violations]


def entry_item(stage, evidence, number):
    key = evidence.attempts[number].key
    return next(item for item in stage.tables.items("ScoreLedger") if item["entryId"] == key)


def player_item(stage, player):
    return next(item for item in stage.tables.items("UserScores") if item["userId"] == player)


def look_again(stage, evidence):
    evidence.after = stage.tables.read()
    evidence.ranking = evidence.after.rows


def test_a_lost_update_is_found_and_named(stage, player, evidence):
    key = evidence.attempts[2].key
    stage.tables.delete("ScoreLedger", userId=player, entryId=key)
    look_again(stage, evidence)
    assert [attempt.key for attempt in lost(evidence)] == [key]
    whats = found_in(evidence, "I1", "I2")
    assert any(
        f"update {key} of {player} (+13) was acknowledged and is not in the ledger" in w for w in whats
    )


def test_a_lost_last_update_is_found_although_ledger_and_player_agree(stage, player, evidence):
    key = evidence.attempts[4].key
    stage.tables.delete("ScoreLedger", userId=player, entryId=key)
    item = player_item(stage, player)
    stage.tables.put("UserScores", item | {"score": item["score"] - 15, "version": item["version"] - 1})
    look_again(stage, evidence)
    assert key in found_in(evidence, "I1")[0]


def test_an_update_counted_twice_in_the_score_is_found_and_named(stage, player, evidence):
    item = player_item(stage, player)
    stage.tables.put("UserScores", item | {"score": item["score"] + 14})
    look_again(stage, evidence)
    assert doubled(evidence) == 1
    assert evidence.attempts[3].key in found_in(evidence, "I2")[0]


def test_an_update_counted_twice_under_another_key_is_found(stage, player, evidence):
    item, twice = player_item(stage, player), entry_item(stage, evidence, 4)
    version, score = item["version"] + 1, item["score"] + 15
    stage.tables.put("ScoreLedger", twice | {"entryId": "another", "version": version, "newScore": score})
    stage.tables.put("UserScores", item | {"version": version, "score": score})
    look_again(stage, evidence)
    assert doubled(evidence) == 1
    assert found_in(evidence, "I2") == [
        f"update another of {player} (+15, version {version}) was counted, and nobody sent it"
    ]


def test_two_updates_in_the_wrong_order_are_found(stage, player, evidence):
    first, second = entry_item(stage, evidence, 1), entry_item(stage, evidence, 2)
    stage.tables.put("ScoreLedger", first | {"version": second["version"]})
    stage.tables.put("ScoreLedger", second | {"version": first["version"]})
    look_again(stage, evidence)
    assert evidence.attempts[2].key in found_in(evidence, "I2")[0]


def test_an_answer_that_is_not_what_was_stored_is_found(evidence):
    attempt = evidence.attempts[0]
    attempt.replies[0] = dataclasses.replace(attempt.replies[0], new_score=99)
    assert attempt.key in found_in(evidence, "I1")[0]


def test_different_answers_to_one_key_are_found(evidence):
    attempt = evidence.attempts[0]
    attempt.replies.append(
        dataclasses.replace(attempt.replies[0], new_score=attempt.replies[0].new_score + 11)
    )
    assert all(attempt.key in what for what in found_in(evidence, "I1", "I4"))


def test_a_read_below_what_was_acknowledged_or_above_what_was_tried_is_found(player, evidence):
    score = evidence.after.players[player].score
    now = time.monotonic()
    for wrong in (score - 1, score + 1):
        evidence.reads = [Read(now, now, player, wrong, 5)]
        assert f"{player} was read with {wrong}" in found_in(evidence, "I3")[0]
    evidence.reads = [Read(now, now, player, score, 5)]
    assert check(evidence) == []


def test_a_version_that_goes_back_is_found(player, evidence):
    now = time.monotonic()
    score = evidence.after.players[player].score
    evidence.reads = [
        Read(now, now + 0.1, player, score, 5),
        Read(now + 0.2, now + 0.3, player, score, 4),
    ]
    assert found_in(evidence, "I5") == [f"{player} went back from version 5 to 4"]


def page_of(evidence, *revisions):
    page = Page("page")
    for number, revision in enumerate(revisions):
        page.boards.append(Seen(float(number), revision, evidence.after.rows))
    evidence.pages, evidence.pages_after_s = [page], {"page": 0.1}
    return page


def test_a_revision_that_goes_back_is_found_on_the_page_and_on_the_wire(evidence):
    page_of(evidence, 1, 3, 2)
    assert found_in(evidence, "I5") == ["page showed revision 2 after 3"]
    page_of(evidence, 1, 2, 3).received.extend([(0, 7), (0, 9), (1, 8), (1, 7)])
    assert found_in(evidence, "I5") == ["page was sent revision 7 after 8"]


def test_a_ranking_in_another_order_is_found(evidence):
    rows = evidence.after.rows
    evidence.ranking = (rows[1], rows[0], *rows[2:]) if len(rows) > 1 else ()
    assert "the ranking is" in found_in(evidence, "I6")[0]


@pytest.mark.parametrize("seconds", [None, 5.1])
def test_a_board_that_comes_too_late_is_found(evidence, seconds):
    page_of(evidence, 1)
    evidence.ranking_after_s, evidence.pages_after_s = seconds, {"page": seconds}
    found_in(evidence, "I6", "I7")
    evidence.ranking_after_s, evidence.pages_after_s = 0.0, {"page": 0.0}
    evidence.caught_up_s = {"page": seconds}
    found_in(evidence, "I7")


def test_a_page_that_shows_another_board_is_found(player, evidence):
    page = page_of(evidence, 1)
    page.boards.append(Seen(2.0, 2, ((player, None, 1),)))
    assert "page (connecting) shows" in found_in(evidence, "I7")[0]


def test_what_has_grown_or_is_too_much_is_found(evidence):
    was = Resources(0.0, "web", 1, 100.0, 20, 50)
    evidence.resources_before = [was]
    evidence.resources_after = [dataclasses.replace(was, memory_mib=140.0, threads=40, files=200)]
    evidence.keys_before, evidence.keys_after = 10, 40
    assert len(found_in(evidence, "I8")) == 4
    evidence.resources, evidence.resources_before, evidence.keys_after = evidence.resources_after, [], 10
    evidence.limits = Limits(memory_mib=120.0, threads=30, files=90)
    assert len(found_in(evidence, "I8")) == 3


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(502), Reply(503), Reply(429)], ids=lambda reply: f"a bare {reply.status}"
)
def test_an_odd_answer_is_found(evidence, reply):
    evidence.attempts[0].replies.append(reply)
    assert evidence.attempts[0].key in found_in(evidence, "I9")[0]


def test_a_traceback_in_a_log_is_found(evidence):
    trace = ["Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: wrong"]
    evidence.log = ["web 0: INFO fine", *(f"web 1: {line}" for line in trace), "web 0: INFO fine"]
    assert found_in(evidence, "I9") == ["web 1: Traceback (most recent call last): … ValueError: wrong"]


def test_slow_answers_are_found(evidence):
    first = evidence.attempts[0]
    first.replies.append(Reply(503, None, 1, 0.0, 3.5))
    assert first.key in found_in(evidence, "I10")[0]
    first.replies.pop()
    first.replies += [Reply(503, None, 1, 0.0, 0.2, code="overloaded")] * 30
    assert "refused after 200 ms" in found_in(evidence, "I10")[0]
    # … unless it is the machine that is slow.
    evidence.late_s = 0.2
    assert check(evidence) == []
    evidence.late_s = 0.0
    first.replies[1:] = [Reply(0, began=0.0, ended=9.0)]
    assert "answered with nothing after 9.00 s" in found_in(evidence, "I10")[0]
    first.replies[1:] = []
    evidence.probes = [Probe(0.0, 3.5, "web 0", "/score/top10", 200)]
    assert "GET /score/top10" in found_in(evidence, "I10")[0]


def moderated(player, action="ban", answered_at=1.0):
    return Moderated(player, action, "MOD#1", answered_at, answered_at)


def with_entry(player, evidence, kind):
    """The evidence with a moderation entry behind the last update."""
    last = evidence.after.ledger[player][-1]
    added = dataclasses.replace(last, kind=kind, entry_id="MOD#1", increment=0, version=last.version + 1)
    stored = dataclasses.replace(evidence.after.players[player], version=added.version)
    ledger = evidence.after.ledger | {player: [*evidence.after.ledger[player], added]}
    evidence.after = Truth(evidence.after.players | {player: stored}, ledger)


def before_all(evidence):
    """Have the updates tried before the moderations of these tests, whose time begins at 0."""
    for attempt in evidence.attempts:
        attempt.at = 0.0


def test_moderations_without_an_entry_and_entries_without_a_moderation_are_found(player, evidence):
    before_all(evidence)
    evidence.actions = [moderated(player)]
    assert found_in(evidence, "I11") == [f"ban MOD#1 of {player} was answered and is not in the ledger"]
    evidence.actions = []
    with_entry(player, evidence, "ban")
    assert "no moderator did it" in found_in(evidence, "I11")[0]
    evidence.actions = [moderated(player, "erase")]
    assert f"erase MOD#1 of {player} is in the ledger as ban" in found_in(evidence, "I11")[0]


def test_an_adjust_by_another_amount_is_found(player, evidence):
    with_entry(player, evidence, "adjust")
    evidence.actions = [dataclasses.replace(moderated(player, "adjust"), amount=-7)]
    assert f"adjust MOD#1 of {player} (-7) is in the ledger as adjust" in found_in(evidence, "I11")[0]


def test_an_update_accepted_while_its_player_was_banned_is_found(player, evidence):
    with_entry(player, evidence, "ban")
    last = evidence.attempts[4]
    answered = last.replies[0].ended
    evidence.actions = [moderated(player, answered_at=last.at + 1)]
    assert check(evidence) == []
    evidence.actions = [moderated(player, answered_at=last.at - 0.001)]
    assert any(f"{last} was accepted" in what for what in found_in(evidence, "I11"))
    evidence.actions.append(dataclasses.replace(moderated(player, "unban"), began=answered - 0.001))
    assert not any(f"{last} was accepted" in what for what in found_in(evidence, "I11"))


def test_a_banned_player_on_a_board_is_found(player, evidence):
    before_all(evidence)
    with_entry(player, evidence, "ban")
    evidence.actions = [moderated(player)]
    page = Page("page")
    page.boards.append(Seen(1.9, 1, ((player, None, 1),)))
    page.boards.append(Seen(2.4, 2, ((player, None, 1),)))
    page.boards.append(Seen(3.0, 3, evidence.after.rows))
    evidence.pages, evidence.pages_after_s = [page], {"page": 0.0}
    assert found_in(evidence, "I11") == [f"page was shown {player} 1.40 s after the ban's answer"]


@pytest.mark.parametrize(
    "line", ["token eyJhbGciOi.x", "Authorization: Bearer abcdefgh.x", "ann@example.com", "redis://u:p@host"]
)
def test_a_secret_in_a_log_is_found(evidence, line):
    evidence.log = [line]
    assert "in a log" in found_in(evidence, "I12")[0]

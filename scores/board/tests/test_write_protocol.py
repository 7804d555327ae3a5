"""The write protocol, step by step, without a store."""

from __future__ import annotations

import dataclasses

import pytest

from scores.board.write_protocol import (
    LAST_WAIT_S,
    ReadEntry,
    ReadPlayer,
    Settled,
    Wait,
    settle,
)
from scores.rules.commits import Commit, Contended, EntryExists, PlayerMoved, Undecided
from scores.rules.entries import Entry
from scores.rules.errors import (
    Banned,
    Conflict,
    KeyReused,
    OutcomeUnknown,
    Throttled,
    Unavailable,
)
from scores.rules.players import Player, State, increased

CALL_S = 0.8
DEADLINE_S = 2.0
ANN = Player("ann", 10, 3, 1)


class Add:
    """Adds five points, once."""

    user_id = "ann"
    entry_id = "key"

    def plan(self, known: Player, at: int) -> Commit:
        if known.is_banned(at):
            raise Banned
        player = increased(known, 5, at)
        entry = Entry("ann", "key", "update", 5, player.score, player.version, at, known.reached_at, "hash")
        return Commit(entry, player, known, at)

    def check_entry(self, entry: Entry) -> None:
        if entry.request_hash != "hash":
            raise KeyReused

    def outcome_unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown("of this change")


class Play:
    """Drives one write: each step is compared with what is expected, and answered."""

    def __init__(self, known: Player | None = ANN, *, certain: bool = False) -> None:
        self.now = 0.0
        self.steps = settle(
            Add(),
            known=known,
            certain=certain,
            deadline=DEADLINE_S,
            call_s=CALL_S,
            clock=lambda: self.now,
            now_ms=lambda: 1_000,
        )
        self.step = next(self.steps)

    def answer(self, reply: Player | Entry | Exception | None = None, *, after_s: float = 0.0) -> None:
        """Answer the current step `after_s` later; the next one is then current."""
        self.now += after_s
        if isinstance(reply, Exception):
            self.step = self.steps.throw(reply)
        else:
            self.step = self.steps.send(reply)

    def ends(self, reply: Player | Entry | Exception | None = None, *, after_s: float = 0.0) -> Settled:
        """Answer the last step; how the write was settled."""
        with pytest.raises(StopIteration) as end:
            self.answer(reply, after_s=after_s)
        settled: Settled = end.value.value
        return settled

    def fails(self, error: type[Exception], reply: object = None, *, after_s: float = 0.0) -> None:
        """Answer the last step; the write ends in `error`."""
        with pytest.raises(error):
            self.answer(reply, after_s=after_s)  # type: ignore[arg-type]


BANNED = dataclasses.replace(ANN, version=4, state=State.BANNED)
AFTER = increased(ANN, 5, 1_000)
ENTRY = Add().plan(ANN, 1_000).entry


def test_a_right_guess_is_one_commit():
    play = Play()
    assert play.step == Add().plan(ANN, 1_000)
    assert play.ends() == Settled(ENTRY, AFTER, replayed=False)


def test_an_unknown_player_is_read_first():
    play = Play(None)
    assert play.step == ReadPlayer()
    play.answer(ANN)
    assert play.step == Add().plan(ANN, 1_000)


def test_a_moved_player_is_tried_again_at_once():
    play = Play()
    moved = dataclasses.replace(ANN, score=50, version=9)
    play.answer(PlayerMoved(moved))
    assert play.step == Add().plan(moved, 1_000)
    assert play.ends().entry.new_score == 55


def test_a_contended_player_is_read_again_after_a_wait():
    play = Play()
    play.answer(Contended())
    assert isinstance(play.step, Wait)
    play.answer()
    assert play.step == ReadPlayer()


def test_no_commit_is_begun_that_would_end_after_the_deadline():
    play = Play()
    play.answer(Contended(), after_s=1.15)
    assert isinstance(play.step, Wait)
    play.answer()
    assert play.step == ReadPlayer()
    play.fails(Conflict, ANN, after_s=CALL_S)


def test_waits_double_up_to_the_last():
    play, waits = Play(), []
    for _ in range(7):
        play.answer(Throttled())
        assert isinstance(play.step, Wait)
        waits.append(play.step.seconds)
        play.answer()
    assert waits[:5] == [0.01, 0.02, 0.04, 0.08, 0.16] and waits[5:] == [LAST_WAIT_S] * 2


def test_an_entry_that_exists_is_the_earlier_answer():
    play = Play(AFTER)
    assert play.ends(EntryExists(ENTRY)) == Settled(ENTRY, AFTER, replayed=True)


def test_a_replay_reads_a_player_whose_merge_was_lost():
    play = Play(ANN)
    play.answer(EntryExists(ENTRY))
    assert play.step == ReadPlayer()
    assert play.ends(AFTER) == Settled(ENTRY, AFTER, replayed=True)


def test_a_replay_does_not_need_the_player():
    play = Play(ANN)
    play.answer(EntryExists(ENTRY))
    assert play.ends(Unavailable()) == Settled(ENTRY, None, replayed=True)
    play = Play(ANN)
    late = play.ends(EntryExists(ENTRY), after_s=DEADLINE_S - CALL_S + 0.01)
    assert late == Settled(ENTRY, None, replayed=True)


def test_an_entry_of_another_change_is_a_reused_key():
    Play(AFTER).fails(KeyReused, EntryExists(dataclasses.replace(ENTRY, request_hash="another")))


def test_a_refusal_needs_a_certain_player_and_no_entry():
    play = Play(BANNED)
    assert play.step == ReadPlayer()  # the guess may be old
    play.answer(BANNED)
    assert play.step == ReadEntry()  # it may have counted before the ban
    play.fails(Banned, None)


def test_a_refused_player_gets_the_earlier_answer():
    play = Play(BANNED, certain=True)
    assert play.step == ReadEntry()
    assert play.ends(ENTRY).replayed


def test_a_guess_that_refuses_wrongly_is_corrected():
    play = Play(BANNED)
    play.answer(dataclasses.replace(ANN, version=5))
    assert isinstance(play.step, Commit)


def test_a_lost_answer_is_tried_again_and_found():
    play = Play()
    play.answer(Undecided())
    assert isinstance(play.step, Wait)
    play.answer()
    assert play.step == Add().plan(ANN, 1_000)
    play.answer(EntryExists(ENTRY))
    assert play.step == ReadPlayer()
    assert not play.ends(AFTER).replayed, "the commit that was not answered is the one that counted"


def test_a_late_lost_answer_is_looked_up_instead():
    play = Play()
    play.answer(Undecided(), after_s=CALL_S)  # another try would leave no time to look
    assert play.step == ReadEntry()
    play.answer(ENTRY)
    assert play.step == ReadPlayer()
    assert play.ends(AFTER) == Settled(ENTRY, AFTER, replayed=False)


@pytest.mark.parametrize("reply", [None, Unavailable(), Throttled()])
def test_a_lost_answer_that_is_not_found_leaves_the_outcome_unknown(reply):
    play = Play()
    play.answer(Undecided(), after_s=CALL_S)
    play.fails(OutcomeUnknown, reply)


def test_no_time_to_look_leaves_the_outcome_unknown():
    Play().fails(OutcomeUnknown, Undecided(), after_s=DEADLINE_S)


def test_a_store_that_goes_away_after_a_lost_answer_leaves_the_outcome_unknown():
    play = Play()
    play.answer(Undecided())
    play.answer()
    play.fails(OutcomeUnknown, Unavailable())


def test_a_refusal_at_the_version_of_a_lost_answer_leaves_the_outcome_unknown():
    play = Play(dataclasses.replace(BANNED, banned_until=1_000, version=3))  # over at 1,000 ms
    play.answer(Undecided())
    play.answer()
    play.answer(Contended())
    play.answer()
    assert play.step == ReadPlayer()
    play.answer(dataclasses.replace(BANNED, version=3))
    assert play.step == ReadEntry()
    play.fails(OutcomeUnknown, None)


def test_a_player_that_moved_decides_a_lost_answer():
    play = Play()
    play.answer(Undecided())
    play.answer()
    play.answer(PlayerMoved(BANNED))
    assert play.step == ReadEntry()
    play.fails(Banned, None)  # that commit was for an older version: nothing was changed


@pytest.mark.parametrize(
    ("failure", "error"),
    [(PlayerMoved(ANN), Conflict), (Contended(), Conflict), (Throttled(), Throttled)],
    ids=["moved", "contended", "throttled"],
)
def test_a_failure_that_stays_is_the_answer_in_time(failure, error):
    play = Play()
    with pytest.raises(error):
        while True:
            match play.step:
                case Wait(seconds):
                    play.answer(after_s=seconds)
                case ReadPlayer():
                    play.answer(ANN, after_s=0.01)
                case _:
                    play.answer(failure, after_s=0.01)
    assert DEADLINE_S - CALL_S <= play.now <= DEADLINE_S


def test_a_store_that_is_away_is_reported_at_once():
    Play().fails(Unavailable, Unavailable())

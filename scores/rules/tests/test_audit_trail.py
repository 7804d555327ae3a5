"""Reasons and actors of moderations, and what an erasure removes from an entry."""

from __future__ import annotations

import time

import pytest

from scores.rules import audit_trail
from scores.rules.entries import Entry
from scores.rules.errors import Invalid


@pytest.mark.parametrize(
    ("text", "reason"),
    [("  because \r\n of\tthis ", "because \n of this"), ("🩷", "🩷"), ("e\u0301", "é")],
)
def test_a_reason_is_stored_in_one_form(text, reason):
    assert audit_trail.clean_reason(text) == reason


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (" \n", "A reason is needed"),
        ("\u0301", "A reason is needed"),
        ("x" * 501, "at most 500 characters"),
        ("a\u202eb", "control characters"),
        ("a\x00b", "control characters"),
    ],
)
def test_a_reason_is_refused_with_the_rule(text, rule):
    with pytest.raises(Invalid, match=rule):
        audit_trail.clean_reason(text)


def test_a_very_long_reason_is_refused_fast():
    started = time.thread_time()
    with pytest.raises(Invalid, match="at most 500"):
        audit_trail.clean_reason("\u0301\u0316" * 100_000)
    assert time.thread_time() - started < 0.1


@pytest.mark.parametrize("actor", ["staff:ann", "shell:root", "Ann Smith", "🩷"])
def test_a_printable_actor_is_kept(actor):
    assert audit_trail.check_actor(actor) == actor


@pytest.mark.parametrize("actor", ["", " ann", "a\nb", "a\u200bb", "a\u00a0b", "x" * 151, "\ue000"])
def test_other_actors_are_refused(actor):
    with pytest.raises(Invalid):
        audit_trail.check_actor(actor)


def test_an_erasure_removes_texts_and_keeps_numbers():
    entry = Entry(
        "ann", "MOD#1", "rename", 0, 5, 2, 9, 9, actor="ann", reason="mine", after='{"name": "Ann"}'
    )
    cleaned = audit_trail.without_personal_data(entry)
    assert (cleaned.actor, cleaned.reason, cleaned.after) == ("player", None, '{"name": null}')
    assert (cleaned.version, cleaned.new_score, cleaned.at) == (2, 5, 9)
    assert audit_trail.without_personal_data(cleaned) == cleaned

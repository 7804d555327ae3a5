"""What a ledger says: pure figures, a curve, what a moderation changed."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from scores.moderation.activity import CURVE_STEPS, changes, curve, newest_first, signals
from scores.rules.entries import Entry

NOW = 10_000_000_000


def entry(version, increment, at, new_score=0, kind="update", actor=None):
    return Entry("ann", f"e{version}", kind, increment, new_score, version, at, 0, actor=actor)


def test_signals_count_updates_and_tell_tickets_from_plain_increments():
    ledger = [
        entry(1, 5, NOW - 90_000_000),
        entry(2, 7, NOW - 80_000_000, kind="ticket"),
        entry(3, 1, NOW - 3_000_000),
        entry(4, 2, NOW - 59_000, kind="ticket"),
        entry(5, 900, NOW, kind="adjust", actor="staff:rob"),
    ]
    found = signals(ledger, NOW)
    assert (found.last_minute, found.last_hour, found.last_day) == (1, 2, 3)
    assert (found.largest, found.plain_points, found.ticket_points, found.ticket_share) == (7, 6, 9, 60)


def test_an_empty_ledger_has_no_share_and_no_curve():
    assert signals([], NOW).ticket_share is None
    assert curve([], NOW, 600, 120) is None


def test_newest_is_by_version_not_by_clock():
    assert [e.version for e in newest_first([entry(1, 1, 50), entry(3, 1, 20), entry(2, 1, 30)])] == [3, 2, 1]


def test_a_curve_climbs_in_steps_and_ends_now():
    found = curve([entry(1, 10, 0, 10), entry(2, 10, 50, 20)], 100, 600, 120)
    assert found is not None
    assert found.path == "M0 120H0V60H300V0H600"
    assert (found.highest, found.start, found.end) == (20, 0, 100)


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 10**12)), min_size=1, max_size=700),
    st.integers(0, 10**12),
)
def test_a_curve_stays_in_its_picture_whatever_the_clocks_say(steps, now):
    score, ledger = 0, []
    for version, (increment, at) in enumerate(steps, start=1):
        increment = max(increment, -score)
        score += increment
        ledger.append(entry(version, increment, at, score))
    found = curve(ledger, now, 600, 120)
    assert found is not None
    assert found.path.count("V") <= CURVE_STEPS + 1
    assert all(0 <= float(x) <= 600 for x in re.findall(r"H([\d.e+-]+)", found.path))
    heights = [float(y) for y in re.findall(r"V([\d.e+-]+)", found.path)]
    assert all(0 <= y <= 120 for y in heights)
    assert heights[-1] == round(120 * (1 - score / found.highest), 1)


def test_changes_name_what_a_moderation_changed():
    before = {"score": 5, "name": "Ann", "state": "active", "bannedUntil": None}
    after = before | {"state": "banned", "bannedUntil": 7}
    assert changes(json.dumps(before), json.dumps(after)) == [
        ("state", "active", "banned"),
        ("bannedUntil", None, 7),
    ]
    assert changes(None, None) == changes("no json", "{}") == []

"""The text of the fan-out report beside its figures."""

from __future__ import annotations

from tools.benchmarks.fanout import report


def test_what_was_measured_on_is_said_once():
    opened = [{"server": name, "versions": "this machine, ws 8"} for name in ("ours", "ws")]
    sent = {"server": "ours", "deliveries_per_s": 1.0}
    assert report.versions([*opened, sent]) == "\nthis machine, ws 8\n"
    later = {"server": "ws", "versions": "this machine, ws 9"}
    assert report.versions([*opened, later]) == "\nthis machine, ws 8\n\nthis machine, ws 9\n"

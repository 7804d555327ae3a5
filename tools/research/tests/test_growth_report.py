"""The capacity model finds the costs that were planted."""

from __future__ import annotations

import dataclasses

import pytest

from tools.research.growth import report


def same(**figures):
    return {name: [value, value, value] for name, value in figures.items()}


def viewers(count):
    """2 ms a board, 5 µs a delivery; in a second 12 ms an idle process, 2 µs an open socket."""
    return same(
        cpu_ms_per_update=9.0,
        cpu_ms_with_board=9 + 2 + count * 0.005,
        idle_share=0.012 + count * 2e-6,
    )


RESULTS = {
    "players": {"1000": same(cpu_ms_per_update=4.0), "1000000": same(cpu_ms_per_update=5.0)},
    "viewers": {str(count): viewers(count) for count in (10_000, 100, 1_000)},
    "updates": {
        "100": same(cpu_ms_per_update=4.0, refused_share=0.0),
        "10": same(cpu_ms_per_update=9.0, refused_share=0.0),
        "400": same(cpu_ms_per_update=7.0, refused_share=0.2),
    },
}


def test_planted_costs_are_found():
    found = dataclasses.astuple(report.costs(RESULTS))
    assert found == pytest.approx((0.004, 0.002, 5e-6, 0.012, 2e-6))


def test_what_is_left_of_a_vcpu_goes_to_updates():
    rows = [line for line in report.capacity(RESULTS).splitlines() if line.startswith("| ")]
    assert "| 0 | 0 | 147 |" in rows  # 0.6 s less 12 ms, of 4 ms each
    assert "| 5,000 | 10 | 77 |" in rows  # less 5,000 · 2 µs, 10 · 2 ms and 50,000 · 5 µs, too


def test_the_text_says_how_flat_it_is():
    assert report.flatness(RESULTS["players"]) == (
        "An update among 1,000,000 players costs 1.25 times what it costs among 1,000."
    )

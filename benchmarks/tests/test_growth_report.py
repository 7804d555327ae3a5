"""The capacity model finds the costs that were planted."""

from __future__ import annotations

import pytest

from benchmarks import growth_report


def same(**figures):
    return {name: [value, value, value] for name, value in figures.items()}


def viewers(count):
    """4 ms an update, 2 ms a board, 5 µs a delivery, 2 µs a second an idle socket."""
    return same(cpu_ms_per_board=6 + count * 0.005, idle_share=count * 2e-6)


RESULTS = {
    "players": {"1000": same(cpu_ms_per_update=4.0), "1000000": same(cpu_ms_per_update=5.0)},
    "viewers": {str(count): viewers(count) for count in (10_000, 100, 1_000)},
    "updates": {
        "10": same(cpu_ms_per_update=9.0, busy=0.1),
        "100": same(cpu_ms_per_update=4.0, busy=0.4),
        "400": same(cpu_ms_per_update=7.0, busy=0.99),
    },
}


def test_planted_costs_are_found():
    assert growth_report.costs(RESULTS) == pytest.approx((0.004, 0.002, 5e-6))


def test_what_is_left_of_a_vcpu_goes_to_updates():
    rows = [line for line in growth_report.capacity(RESULTS).splitlines() if line.startswith("| ")]
    assert "| 0 | 0 | 150 |" in rows  # 0.6 s of 4 ms each
    assert "| 5,000 | 10 | 80 |" in rows  # less 5,000 · 2 µs, 10 · 2 ms and 50,000 · 5 µs


def test_the_text_says_how_flat_it_is():
    assert growth_report.flatness(RESULTS["players"]) == (
        "An update among 1,000,000 players costs 1.25 times what it costs among 1,000."
    )

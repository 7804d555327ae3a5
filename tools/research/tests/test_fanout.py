"""The model of the fan-out tier on cases that can be worked out by hand."""

from __future__ import annotations

import pytest

from realtime.hub.hub import MIN_INTERVAL_S
from tools.research.simulation.fanout import HOP_S, Costs, planned_processes, simulate

FREE = Costs(delivery_s=0, board_s=0, poke_s=0)


def test_processes_are_planned_by_sockets_and_by_work():
    assert planned_processes(100, 1, 1e-6, max_sockets=1_000) == 1
    assert planned_processes(10_000, 1, 1e-6, max_sockets=1_000) == 10
    assert planned_processes(10_000, 10, 1e-5, max_sockets=100_000) == 2  # a second of work in 0.6 s each


def test_the_last_viewer_waits_for_the_network_and_for_all_others_of_its_process():
    tier = simulate(1_000, 0.2, Costs(delivery_s=1e-5, board_s=0.002, poke_s=0.001), seconds=200)
    by_hand = 5 * HOP_S + 0.001 + 0.002 + 1_000 * 1e-5
    assert tier.p50_ms == pytest.approx(by_hand * 1000, abs=0.01)


def test_boards_never_come_faster_than_the_hub_sends_them():
    tier = simulate(10, 1_000, FREE, seconds=5)
    assert tier.boards_per_s == pytest.approx(1 / MIN_INTERVAL_S, rel=0.1)
    assert tier.p99_ms <= MIN_INTERVAL_S * 1000 + 5


def test_redis_work_grows_with_processes_and_not_with_viewers():
    costs = Costs(delivery_s=0, board_s=1e-4, poke_s=1e-6)
    one, same, ten = (
        simulate(viewers, 1, costs, max_sockets=sockets, seconds=20)
        for viewers, sockets in ((1_000, 1_000), (100_000, 100_000), (10_000, 1_000))
    )
    assert one.redis_busy == same.redis_busy
    assert ten.processes == 10 * one.processes
    assert ten.redis_busy == pytest.approx(10 * one.redis_busy, rel=0.2)


def test_when_redis_has_too_much_to_do_boards_are_late_and_none_is_missing():
    tier = simulate(1_000, 20, Costs(0, board_s=0.002, poke_s=0), max_sockets=10, seconds=3)
    assert tier.redis_busy == pytest.approx(1, abs=0.05)
    assert tier.p50_ms > 100

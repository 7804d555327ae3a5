"""Read units by hand."""

from __future__ import annotations

import pytest

from scores.board.index_board import GOOD_FOR_S
from tools.research.simulation.reads import READ_UNITS, query_units, with_redis, without_redis


def test_a_query_costs_half_a_unit_for_each_four_kilobytes():
    assert query_units(1) == query_units(25) == 0.5
    assert query_units(26) == 1.0


def test_with_redis_only_the_tables_own_item_is_read_more_often_by_more_processes():
    one, many = with_redis(1), with_redis(1_000)
    assert many.state == 1_000 * one.state == 500
    assert many.index == one.index and many.player == one.player


def test_without_redis_a_top_players_item_is_read_for_every_board_of_every_process():
    processes = round(READ_UNITS * GOOD_FOR_S)
    assert without_redis(processes).player == pytest.approx(READ_UNITS)
    assert without_redis(processes // 2).share == pytest.approx(0.5, rel=0.01)

"""Read units by hand."""

from __future__ import annotations

from benchmarks.reads import query_units, with_redis, without_redis


def test_a_query_costs_half_a_unit_for_each_four_kilobytes():
    assert query_units(1) == query_units(25) == 0.5
    assert query_units(26) == 1.0


def test_with_redis_only_the_tables_own_item_is_read_more_often_by_more_processes():
    one, many = with_redis(1), with_redis(1_000)
    assert many.state == 1_000 * one.state == 500
    assert many.index == one.index and many.player == one.player


def test_without_redis_three_thousand_processes_are_what_a_top_players_item_carries():
    assert without_redis(1_000).share < 0.5
    assert without_redis(3_000).share == 1.0

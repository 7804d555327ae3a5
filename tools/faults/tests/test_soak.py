"""The soak must notice what grows, in numbers that were planted."""

import random

import pytest

from tools.faults.checks.watch import Resources
from tools.faults.soak import growth, has_grown, lines_of

MINUTES = 30


def samples(**per_hour: float) -> list[Resources]:
    """Half an hour of a process that fills its caches for five minutes, and one that is restarted."""
    dice = random.Random(1)
    found = []
    for second in range(MINUTES * 60):
        filled = min(1.0, second / 300)
        usual = {"memory_mib": 100 + 70 * filled, "threads": 8.0, "files": 30 + 8 * filled}
        seen = {
            what: value + per_hour.get(what, 0.0) * second / 3600 + dice.uniform(-1, 1)
            for what, value in usual.items()
        }
        found.append(
            Resources(second, "web 0", 1, seen["memory_mib"], round(seen["threads"]), round(seen["files"]))
        )
        found.append(Resources(second, "web 2", 100 + second // 60, 500.0 * second, second, second))
    return found


def grown(found: list[Resources]) -> set[str]:
    return {name for name, change in growth(lines_of(found, 0.0)).items() if has_grown(name, change)}


def test_pools_that_fill_at_first_and_processes_that_are_restarted_are_no_growth():
    assert grown(samples()) == set()


@pytest.mark.parametrize(("what", "per_hour"), [("memory_mib", 15), ("threads", 15), ("files", 55)])
def test_a_slow_leak_is_growth(what, per_hour):
    assert grown(samples(**{what: per_hour})) == {f"web 0 {what}"}

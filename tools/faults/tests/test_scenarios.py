"""Every fault, shorter than by `make faults` (a tenth of the time, two seconds at least)."""

from __future__ import annotations

import pytest

from tools.faults.report import table
from tools.faults.suite import FAST, SCENARIOS, perform_one

#: Invariants with a limit of time in them. A bad moment of the machine can break those (and what a scenario
#: expects within a time), and a fault of the product breaks them again; what is counted is looked at once.
TIMED = {"I6", "I7", "I10"}
TRIES = 2
#: They compare rates of updates or measure refusals: neighbours would be part of the measurement.
MEASURING = {"F3"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.alone] * (name in MEASURING)) for name in SCENARIOS]
)
def test_all_invariants_hold_after(name, stage):
    for _ in range(TRIES):
        result = perform_one(stage, name, scale=FAST)
        print(table([result]))
        if not result.violations:
            break
        assert all(each.timed or each.invariant in TIMED for each in result.violations), result.violations
    assert not result.violations, result.violations
    assert result.acknowledged > 0

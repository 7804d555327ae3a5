"""The lines about the machine on a page."""

from __future__ import annotations

import time

from tools.reporting import machine


def test_what_the_cores_have_worked_is_told():
    worked, stolen = machine.clocks()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    later, still_stolen = machine.clocks()
    assert later - worked >= 0.25  # it counts in hundredths
    assert still_stolen >= stolen


def test_the_stolen_share_is_of_the_time_that_was_wanted(monkeypatch):
    conditions = machine.Conditions(load=0.25, pace=40.0, clocks=(100.0, 10.0))
    monkeypatch.setattr(machine, "pace", lambda: 50.0)
    monkeypatch.setattr(machine, "clocks", lambda: (130.0, 20.0))
    found = conditions.so_far()
    assert found == {"load": 0.25, "pace": 40.0, "pace_after": 50.0, "stolen": 0.25}
    assert machine.sentence(found) == (
        "The machine: load average 0.2 before the run; a million additions in Python took 40 ms before and "
        "50 ms after it; 25% of the processor time that was wanted went to other guests of the host."
    )
    monkeypatch.setattr(machine, "clocks", lambda: (100.0, 10.0))
    assert conditions.so_far()["stolen"] == 0.0


def test_the_pace_is_that_of_this_machine():
    assert 1.0 < machine.pace() < 1000.0

"""What a benchmark says of the machine."""

from __future__ import annotations

import time

from benchmarks import machine


def test_what_the_cores_have_worked_is_told():
    worked, stolen = machine.clocks()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    later, still_stolen = machine.clocks()
    assert later - worked >= 0.25  # it counts in hundredths
    assert still_stolen >= stolen


def test_the_stolen_share_is_of_the_time_that_was_wanted(monkeypatch):
    conditions = machine.Conditions(load=0.25, began=(100.0, 10.0))
    monkeypatch.setattr(machine, "clocks", lambda: (130.0, 20.0))
    assert conditions.so_far() == {"load": 0.25, "stolen": 0.25}
    monkeypatch.setattr(machine, "clocks", lambda: (100.0, 10.0))
    assert conditions.so_far() == {"load": 0.25, "stolen": 0.0}
    assert machine.sentence({"load": 0.25, "stolen": 0.25}) == (
        "Load average of the machine before the run: 0.2. Of the processor time that was wanted during it, "
        "the host gave 25% to other machines."
    )

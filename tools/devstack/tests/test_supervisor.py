"""Supervision, on small shell commands instead of the real parts."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from tools.devstack.errors import StackError
from tools.devstack.install.files import ROOT
from tools.devstack.processes import children, supervisor
from tools.devstack.processes.part import Part
from tools.devstack.processes.supervisor import Supervisor
from tools.devstack.tests.stage import clean_environment, is_running, until


@pytest.fixture(autouse=True)
def own_guard(monkeypatch):
    """A guard for these tests alone: the suite's own keeps the stores of all tests."""
    monkeypatch.setattr(children, "guard", children.Guard())
    yield
    children.guard.close()


@pytest.fixture
def told():
    return []


@pytest.fixture
def watching(told):
    watching = Supervisor(told.append)
    yield watching
    watching.stop()


def shell(script: str, **options) -> Part:
    return Part("sleeper", ["/bin/sh", "-c", script], **options)


def test_part_that_dies_is_named_and_started_again(watching, told):
    part = shell("sleep 60")
    watching.start(part)
    first = part.pid
    os.killpg(first, signal.SIGKILL)
    until(lambda: bool(watching.tick() or len(told) == 2), 5)
    assert told[0] == "sleeper died (killed by SIGKILL), starting it again in 0.5 s"
    assert told[1] == f"sleeper is back, process {part.pid}"
    assert part.pid != first


def test_pauses_grow_and_a_hopeless_part_ends_the_stack_with_its_last_words(watching, told, monkeypatch):
    monkeypatch.setattr(supervisor.Watched, "pause", lambda self: 0.0)
    watching.start(shell("echo the data is broken; exit 3"))
    with pytest.raises(StackError, match=r"died 6 times .* exit code 3 \(the data is broken\)"):
        until(lambda: bool(watching.tick()), 20)


def test_pause_doubles_with_each_death_within_a_minute():
    watched = supervisor.Watched(shell("true"))
    pauses = []
    for second in range(5):
        watched.deaths.append(float(second))
        pauses.append(watched.pause())
    assert pauses == [0.5, 1, 2, 4, 8]
    watched.deaths.append(1000.0)
    assert watched.pause() == 0.5


def test_stop_ends_parts_in_reverse_order_and_what_they_started(told):
    watching = Supervisor(told.append)
    parts = [Part(name, ["/bin/sh", "-c", "sleep 60 & echo $!; wait"]) for name in ("first", "second")]
    for part in parts:
        watching.start(part)
        until(partial(len, part.last_lines), 5)
    watching.stop()
    assert told == ["stopping second", "stopping first"]
    assert not any(is_running(pid) for part in parts for pid in (part.pid, int(part.last_lines[0])))


def test_part_that_ignores_sigterm_is_killed_after_its_grace():
    part = shell("trap '' TERM; echo trapped; while :; do sleep 1; done", grace=0.3)
    part.start()
    until(lambda: "trapped" in part.last_lines, 5)
    began = time.monotonic()
    part.stop()
    assert time.monotonic() - began < 3
    assert not is_running(part.pid)


def test_killed_guard_is_replaced_and_still_guards(watching, told):
    part = shell("sleep 60")
    watching.start(part)
    guard = children.guard._process
    assert guard
    os.kill(guard.pid, signal.SIGKILL)
    guard.wait()
    watching.tick()
    assert told == ["the guard of the parts had died and was started again"]
    children.guard.close()
    until(lambda: not is_running(part.pid), 5)


ORPHAN = """
import sys, time
from tools.devstack.processes.part import Part
orderly_script = "trap '' PIPE; trap 'echo done > $MARK; exit' TERM; echo up; while :; do sleep 0.1; done"
quick = Part("quick", ["/bin/sh", "-c", "sleep 60 & wait"])
orderly = Part("orderly", ["/bin/sh", "-c", orderly_script], orphan_grace=5)
for part in (quick, orderly):
    part.start()
while "up" not in orderly.last_lines:
    time.sleep(0.05)
print(quick.pid, orderly.pid, flush=True)
time.sleep(60)
"""


def test_nothing_outlives_a_killed_starter_and_the_stores_may_end_in_order(tmp_path):
    mark = tmp_path / "mark"
    env = clean_environment(MARK=str(mark))
    command = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as starter:
        pids = [int(pid) for pid in next(iter(starter.stdout or ())).split()]
        starter.kill()
    until(lambda: not any(is_running(pid) for pid in pids), 10)
    assert mark.read_text() == "done\n"


def test_command_never_runs_when_the_starter_dies_before_it_is_guarded(tmp_path):
    mark = tmp_path / "mark"
    command = ["/bin/sh", "-c", children._GATE, "gate", "/bin/sh", "-c", f"echo ran > {mark}"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=5).returncode != 0
    assert not mark.exists()

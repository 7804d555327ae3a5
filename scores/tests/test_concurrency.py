"""Who computes when, and that nobody waits for a store with a turn in hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from scores import concurrency
from scores.concurrency import ComputeQueue


@contextmanager
def thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """`work` under way; over when the block is left."""
    running = threading.Thread(target=work, daemon=True)
    running.start()
    yield running
    running.join(5)
    assert not running.is_alive()


@pytest.fixture
def nobody_loses_patience(monkeypatch):
    monkeypatch.setattr(concurrency, "PATIENCE_S", 60.0)


@pytest.mark.usefixtures("nobody_loses_patience")
@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_than_so_many_compute_at_once(at_once):
    line, busy, most = ComputeQueue(at_once), 0, 0
    lock = threading.Lock()

    def work():
        nonlocal busy, most
        for _ in range(20):
            with line.computing():
                with lock:
                    busy += 1
                    most = max(most, busy)
                time.sleep(0.001)
                with lock:
                    busy -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert (busy, most) == (0, at_once)


@pytest.mark.usefixtures("nobody_loses_patience")
def test_first_come_first_served():
    line, served = ComputeQueue(), []

    def work(number):
        with line.computing():
            served.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    with line.computing():
        for standing, each in enumerate(threads, start=1):
            each.start()
            until(lambda standing=standing: len(line._queue) == standing)
    for each in threads:
        each.join(5)
    assert served == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("nobody_loses_patience")
def test_who_waits_lends_the_turn_and_gets_it_back():
    line, lent = ComputeQueue(), threading.Event()

    def other():
        with line.computing():
            lent.set()

    with line.computing():
        with thread(other):
            assert not lent.wait(0.05)
            with line.blocking():
                assert lent.wait(5)
        assert line._free == 0
    assert line._free == 1


def test_waiting_without_a_turn_is_nothing():
    line = ComputeQueue()
    with line.blocking():
        assert line._free == 1
    with line.computing(), line.blocking(), line.blocking():
        assert line._free == 1
    assert line._free == 1


def test_a_failure_gives_the_turn_back():
    line = ComputeQueue()
    with pytest.raises(ValueError, match="x"), line.computing(), line.blocking():
        raise ValueError("x")
    assert line._free == 1


def test_who_has_waited_too_long_goes_on_and_nobody_too_many_follows(monkeypatch):
    monkeypatch.setattr(concurrency, "PATIENCE_S", 0.05)
    line, go_on = ComputeQueue(), threading.Event()

    def stuck():
        with line.computing():
            go_on.wait(5)

    with thread(stuck):
        until(lambda: line._free == 0)
        with line.computing():
            assert line._free == -1
        assert line._free == 0  # whoever comes next stands in line again: one is still at it
        go_on.set()
    assert line._free == 1


@pytest.mark.usefixtures("nobody_loses_patience")
def test_a_lock_is_waited_for_without_a_turn():
    lock = threading.Lock()
    with lock:
        found = []

        def wait():
            with concurrency.computing():
                found.append(concurrency.acquire(lock, 5))

        waiter = threading.Thread(target=wait)
        waiter.start()
        computed = threading.Event()

        def compute():
            with concurrency.computing():
                computed.set()

        time.sleep(0.05)
        with thread(compute):
            assert computed.wait(5)
    waiter.join(5)
    assert found == [True]
    assert not concurrency.acquire(lock, 0.01)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)

"""Who waits for a store or a lock has no turn at computing meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from scores import concurrency
from scores.board import writing
from scores.identity.keyset import KeySet, KeysUnavailable
from scores.rules.errors import Conflict, ScoreboardError
from scores.stores import cache
from tools.testing import pytest_plugin, stage


@pytest.fixture(autouse=True)
def nobody_loses_patience(monkeypatch):
    monkeypatch.setattr(concurrency, "PATIENCE_S", 60.0)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def lends_its_turn(call: Callable[[], object]) -> bool:
    """Whether another thread can compute while this call, which has a turn, is under way."""
    begun, others, over = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def work() -> None:
        with concurrency.computing():
            begun.set()
            try:
                call()
            except (ScoreboardError, cache.RankingUnavailable, KeysUnavailable):
                pass
            order.append("called")
        over.set()

    def other() -> None:
        with concurrency.computing():
            order.append("other")
        others.set()

    threading.Thread(target=work, daemon=True).start()
    assert begun.wait(5)
    threading.Thread(target=other, daemon=True).start()
    assert over.wait(10)
    assert others.wait(10)
    return order == ["other", "called"]


def test_a_call_of_dynamodb(stores, dynamodb_pid):
    stage.scoreboard().players.read_state()
    with frozen(dynamodb_pid):
        assert lends_its_turn(stage.scoreboard().players.read_state)


def test_a_call_of_redis(stores):
    stage.scoreboard().ranking().size()
    with frozen(pytest_plugin.part("valkey").pid):
        assert lends_its_turn(stage.scoreboard().ranking().size)


def test_the_turn_at_a_player(monkeypatch):
    monkeypatch.setattr(writing, "DEADLINE_S", 0.4)

    def at_ann() -> None:
        with writing.one_at_a_time(stage.scoreboard(), "ann"):
            raise AssertionError("two at a time")

    with writing.one_at_a_time(stage.scoreboard(), "ann"):
        assert lends_its_turn(at_ann)
        with pytest.raises(Conflict):
            at_ann()


def test_keys_that_are_being_fetched():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        keys = KeySet(f"http://127.0.0.1:{silent.getsockname()[1]}/jwks.json")
        assert lends_its_turn(lambda: keys.find("unknown", 0.3))


def test_what_computes_does_not():
    assert not lends_its_turn(lambda: sum(range(1_000_000)))

"""The hub on a real event loop, with the real ranking and the real channel layer."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.apps import apps

from realtime.events import GROUP
from realtime.hub import hub
from realtime.hub.audience import Frame
from realtime.hub.broadcaster import Broadcaster
from realtime.hub.hub import Hub, read_board
from realtime.sockets.consumers import SocketViewer
from realtime.vital import VitalTasks
from scores.upkeep import reconcile
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


class Watcher:
    """A viewer that keeps what it is offered."""

    def __init__(self) -> None:
        self.boards: list[dict[str, Any]] = []
        self.pings: list[dict[str, Any]] = []

    def offer(self, frame: Frame) -> None:
        self.boards.append(json.loads(frame.text))

    def ping(self, frame: Frame) -> None:
        self.pings.append(json.loads(frame.text))

    @property
    def scores(self) -> list[int]:
        return [row["score"] for row in self.boards[-1]["top10"]]

    async def until(self, condition, seconds=5.0):
        async with asyncio.timeout(seconds):
            while not (self.boards and condition(self)):
                await asyncio.sleep(0.01)


def hub_of_the_stage() -> Hub:
    return Hub(partial(read_board, stage.scoreboard()), VitalTasks())


@pytest.fixture
async def running():
    started = hub_of_the_stage()
    started.start()
    apps.get_app_config("realtime").broadcaster.use_loop(asyncio.get_running_loop())
    await asyncio.sleep(0.2)  # to subscribe
    yield started
    await started.stop()


def in_thread(function, *args, **kwargs):
    return asyncio.to_thread(function, *args, **kwargs)


async def test_a_new_viewer_gets_the_board_and_then_every_change(running):
    await in_thread(stage.add, "ann", 10)
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    watcher = Watcher()
    running.add(watcher)
    await watcher.until(lambda w: w.boards)
    assert watcher.boards[0]["type"] == "board"
    assert watcher.boards[0]["top10"] == [{"rank": 1, "userId": "ann", "name": None, "score": 10}]
    await in_thread(stage.add, "ann", 5)
    await watcher.until(lambda w: w.scores == [15], 0.9)  # by the poke, not by the poll
    revisions = [board["revision"] for board in watcher.boards]
    assert revisions == sorted(set(revisions))


async def test_many_changes_are_few_boards_and_the_last_one_is_true(running):
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    watcher = Watcher()
    running.add(watcher)
    await watcher.until(lambda w: w.boards)
    for _ in range(40):
        await in_thread(stage.add, "ann", 1)
    await watcher.until(lambda w: w.scores == [40])
    assert len(watcher.boards) < 40


async def test_a_lost_poke_is_healed_by_the_poll(running, monkeypatch):
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    watcher = Watcher()
    running.add(watcher)
    await watcher.until(lambda w: w.boards)
    monkeypatch.setattr(Broadcaster, "_enqueue", lambda broadcaster, revision: None)
    await in_thread(stage.add, "ann", 10)
    await watcher.until(lambda w: w.scores == [10], 1.5)


async def test_the_subscription_outlives_six_idle_seconds(running):
    # The core layer dies of redis-py's default timeout after five (channels_redis#422).
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    watcher = Watcher()
    running.add(watcher)
    await watcher.until(lambda w: w.boards)
    await asyncio.sleep(6.5)
    await in_thread(stage.add, "ann", 10)
    await watcher.until(lambda w: w.scores == [10], 0.9)


async def test_a_subscription_that_failed_leaves_nothing_that_fills_up(monkeypatch):
    layer = get_channel_layer()._get_layer()
    subscribe, failures = type(layer).group_add, iter([TimeoutError, TimeoutError])

    async def late(self, group, channel):
        await subscribe(self, group, channel)
        if failure := next(failures, None):
            raise failure

    monkeypatch.setattr(type(layer), "group_add", late)
    monkeypatch.setattr(hub, "POLL_S", 0.05)
    started = hub_of_the_stage()
    started.start()
    await asyncio.sleep(0.5)
    for revision in range(3):
        await get_channel_layer().group_send(GROUP, {"type": "board.changed", "revision": revision})
    await asyncio.sleep(0.2)
    assert [queue.qsize() for queue in layer.channels.values()] == [0]
    await started.stop()


async def test_without_a_ready_ranking_the_board_comes_from_the_index(running):
    watcher = Watcher()
    await in_thread(stage.add, "ann", 10)
    running.add(watcher)
    await watcher.until(lambda w: w.boards)
    await watcher.until(lambda w: w.scores == [10])
    await in_thread(stage.add, "bob", 20)
    await watcher.until(lambda w: w.scores == [20, 10], 3)
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    await in_thread(stage.add, "bob", 20)
    await watcher.until(lambda w: w.scores == [40, 10], 3)
    revisions = [board["revision"] for board in watcher.boards]
    assert revisions == sorted(set(revisions))


async def test_a_redis_that_is_behind_is_asked_for_a_higher_revision(running):
    await in_thread(stage.add, "ann", 10)
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    watcher = Watcher()
    running.add(watcher)
    await watcher.until(lambda w: w.boards)
    seen = watcher.boards[-1]["revision"]
    await in_thread(stage.scoreboard().cache.client.set, stage.scoreboard().ranking()._key("revision"), "5")
    await in_thread(stage.add, "ann", 10)
    await watcher.until(lambda w: w.scores == [20])
    assert watcher.boards[-1]["revision"] > seen
    assert (await in_thread(stage.board)).revision > seen


async def test_signs_of_life_carry_the_revision(monkeypatch):
    monkeypatch.setattr(hub, "ALIVE_S", 0.2)
    await in_thread(reconcile.reconcile_ranking, stage.scoreboard())
    started, watcher = hub_of_the_stage(), Watcher()
    started.start()
    started.add(watcher)
    await watcher.until(lambda w: w.boards)
    await asyncio.sleep(0.5)
    await started.stop()
    assert watcher.pings[0]["type"] == "alive"
    assert watcher.pings[0]["revision"] == watcher.boards[-1]["revision"]
    assert watcher.pings[0]["asOf"].endswith("Z")


async def test_a_slow_socket_has_one_slot_and_gets_the_newest():
    sent, gate = [], asyncio.Event()

    async def send(text: str) -> None:
        sent.append(text)
        await gate.wait()

    async def end(code: int) -> None:
        raise AssertionError(code)

    viewer = SocketViewer(send, end)
    for number in (1, 2, 3, 2):
        viewer.offer(Frame(number, str(number)))
        await asyncio.sleep(0)
    viewer.ping(Frame(3, "alive"))
    gate.set()
    await asyncio.sleep(0.01)
    assert sent == ["1", "3"]

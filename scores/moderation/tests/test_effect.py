"""What moderation does to open pages: two real server processes, real sockets, stores that fail.

The moderator is a third process: this one, or `manage.py moderate` where it is to lose its stores.
"""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from scores.board.tests.test_adding import moderate
from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.players import State, increased
from scores.stores import ledger
from scores.upkeep import rebuild, verify
from scores.upkeep.tests.test_reconcile import store
from tools.devstack.processes.ports import free_port
from tools.testing import pytest_plugin, stage
from tools.testing.processes import post, run_moderate, server

MODERATIONS = [
    (0, Action.ADJUST, {"amount": -100}),
    (1, Action.RENAME, {"name": "Zoë"}),
    (2, Action.HIDE, {}),
    (2, Action.UNHIDE, {}),
    (3, Action.BAN, {}),
    (3, Action.UNBAN, {}),
    (4, Action.ERASE, {}),
]


@pytest.fixture
def token():
    return local_issuer.mint("server", WRITE_SCOPE)


@pytest.fixture(scope="module")
def two(running_stores):
    """Two server processes, for all tests of the module: each test brings players above all before."""
    stage.reset()
    with ExitStack() as stack:
        yield [stack.enter_context(server()) for _ in range(2)]


_stages = itertools.count(1)


def enter(count):
    """The ids of `count` new players, who hold the board; best first."""
    stage.forget()
    number = next(_stages)
    store(count, prefix=f"s{number}-", best=number * 1_000_000)
    while not rebuild.rebuild_ranking(stage.scoreboard(), full=True):  # a server is at it
        time.sleep(0.05)
    return [f"s{number}-{place:04}" for place in range(count)]


class Watcher:
    """An open page: remembers each board with the time at which it came (ms), and comes back when cut off."""

    def __init__(self, part):
        self.boards = []
        self._part = part
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._closing.is_set():
            try:
                with connect(f"ws://127.0.0.1:{self._part.port}/ws/scoreboard", open_timeout=5) as viewer:
                    while not self._closing.is_set():
                        try:
                            message = json.loads(viewer.recv(timeout=0.1))
                        except TimeoutError:
                            continue
                        if message["type"] == "board":
                            self.boards.append((stage.scoreboard().now_ms(), message))
            except (ConnectionClosed, OSError):
                time.sleep(0.1)

    def close(self):
        self._closing.set()
        self._thread.join()

    def rows(self):
        return self.boards[-1][1]["top10"] if self.boards else None


@contextmanager
def watching(parts):
    watchers = [Watcher(part) for part in parts]
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()


def until(condition, seconds=5.0):
    """The time (s) until the condition holds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "not in time"
        time.sleep(0.005)
    return time.monotonic() - started


def shows_truth(*watchers):
    truth = [row.to_dict() for row in stage.true_rows()]
    return all(watcher.rows() == truth for watcher in watchers)


def test_every_action_shows_on_every_open_page_at_once_and_nobody_is_told_why(two):
    players = enter(14)
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        seconds = []
        for place, action, options in MODERATIONS:
            moderate(players[place], action, **options)
            seconds.append(until(lambda: shows_truth(*watchers)))
            assert [row["rank"] for row in watchers[0].rows()] == list(range(1, 11))
        # A page that missed the news sees it with the next poll, after a second.
        assert statistics.median(seconds) < 1
        print("seconds until both pages showed it:", [round(each, 3) for each in seconds])
    for watcher in watchers:
        for _, message in watcher.boards:
            assert set(message) == {"type", "revision", "asOf", "top10"}
            assert all(set(row) == {"rank", "userId", "name", "score"} for row in message["top10"])
        revisions = [message["revision"] for _, message in watcher.boards]
        assert revisions == sorted(set(revisions))


def test_the_eleventh_moves_up_while_the_top_three_hundred_are_banned_one_after_another(two, monkeypatch):
    players = enter(320)
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        for number in range(5):
            moderate(players[number], Action.BAN)
            until(lambda: shows_truth(*watchers))
            assert [row["userId"] for row in watchers[0].rows()] == players[number + 1 : number + 11]
        answered = {}
        for number in range(5, 300):
            with monkeypatch.context() as lost:
                if number % 3 == 0:  # the moderator's process dies after the commit
                    lost.setattr(moderating, "insist", lambda *_: None)
                moderate(players[number], Action.BAN)
            answered[players[number]] = stage.scoreboard().now_ms()
            if number in (100, 200):
                stage.scoreboard().cache.client.flushall()
        until(lambda: shows_truth(*watchers))
        time.sleep(2.5)  # another round changes nothing
        assert shows_truth(*watchers)
        assert [row["userId"] for row in watchers[0].rows()] == players[300:310]
    for watcher in watchers:
        for came, message in watcher.boards:
            for row in message["top10"]:  # within 5 s also those whose merge was lost
                assert came < answered.get(row["userId"], came) + 5000
    assert verify.verify_ledger(stage.scoreboard())[1] == []
    assert all(stage.scoreboard().players.read(user_id).state is State.BANNED for user_id in answered)


@pytest.mark.alone
def test_a_ban_holds_in_every_process_and_leaves_every_page_while_redis_is_away(two, token):
    first, second, *_ = enter(12)
    valkey = pytest_plugin.part("valkey")
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        valkey.kill()
        try:
            moderate(first, Action.BAN)
            answered = stage.scoreboard().now_ms()
            for part in two:
                response = post(part, token, first, 10, f"late-{part.port}")
                assert (response.status_code, response.json()["code"]) == (403, "banned")
            boards = []
            while stage.scoreboard().now_ms() < answered + 2500:  # more and more pages are opened
                for part in two:
                    with connect(f"ws://127.0.0.1:{part.port}/ws/scoreboard", open_timeout=5) as viewer:
                        message = json.loads(viewer.recv(timeout=5))
                        boards.append((stage.scoreboard().now_ms(), message))
                time.sleep(0.05)
            until(lambda: shows_truth(*watchers))
            ages = [age(*each) for each in boards]
            print("age of boards while Redis is away (ms):", statistics.median(ages), max(ages))
            assert statistics.quantiles(ages, n=10)[-1] < 1000
            for came, message in boards + watchers[0].boards + watchers[1].boards:
                if first in [row["userId"] for row in message["top10"]]:
                    # Told by the board's own clock, so that a busy machine cannot matter.
                    assert came - age(came, message) < answered + 500
        finally:
            valkey.start()
            valkey.wait_ready()
        moderate(second, Action.HIDE)
        until(lambda: shows_truth(*watchers))
    assert stage.scoreboard().players.read(first).version == 2


def age(came, message):
    """How old (ms) a board was when it came, by its own clock."""
    return came - datetime.fromisoformat(message["asOf"]).timestamp() * 1000


def test_an_ended_ban_restores_the_row_by_itself_and_once(two):
    first, second, *_ = enter(12)
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        before = watchers[0].rows()
        moderate(first, Action.BAN, until=stage.scoreboard().now_ms() + 1500)
        until(lambda: all(watcher.rows()[0]["userId"] == second for watcher in watchers))
        until(lambda: all(watcher.rows() == before for watcher in watchers), 10)
    assert [e.kind for e in ledger.read_all(first) if e.actor == "scoreboard"] == ["unban"]


def test_moderations_whose_merge_is_lost_with_their_process_are_on_the_board_in_five_seconds(two):
    players = enter(14)
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        for place, arguments in enumerate([["ban"], ["erase", "--yes"]]):
            no_redis = f"redis://127.0.0.1:{free_port()}/0"
            done = run_moderate(*arguments, players[place], REDIS_URL=no_redis)
            assert done.returncode == 0, done.stderr
            assert stage.true_rows()[0].user_id == players[place + 1]
            until(lambda: shows_truth(*watchers))


def test_a_second_tab_a_late_write_and_the_cache_bring_no_banned_player_back(two, token):
    first, *_ = enter(12)
    known = stage.scoreboard().players.read(first)
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        moderate(first, Action.BAN)
        stage.scoreboard().ranking().merge([increased(known, 5, stage.scoreboard().now_ms()), known])
        for part in two:
            assert post(part, token, first, 10, "tab").status_code == 403
        stage.scoreboard().cache.client.flushall()
        until(lambda: stage.scoreboard().ranking().board() is not None, 10)
        until(lambda: shows_truth(*watchers))
        assert first not in str(watchers[0].rows())

"""What moderation does to open pages: two real server processes, real sockets, stores that fail.

The moderator is a third process: this one, or `manage.py moderate` where it is to lose its stores.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from devstack import pytest_plugin
from devstack.ports import free_port
from scoreboard_site.tests.processes import ROOT, CuttingProxy, post, server
from scores import local_issuer, maintenance, merging, moderation, ranking, repository, scoring, services
from scores.errors import Unavailable
from scores.identity import WRITE_SCOPE
from scores.scoring import Action, State
from scores.tests import stage
from scores.tests.test_maintenance import store
from scores.tests.test_services import moderate

pytestmark = pytest.mark.usefixtures("stores")

MODERATIONS = [
    ("p0000", Action.ADJUST, {"amount": -9_990}),
    ("p0001", Action.RENAME, {"name": "Zoë"}),
    ("p0002", Action.HIDE, {}),
    ("p0002", Action.UNHIDE, {}),
    ("p0003", Action.BAN, {}),
    ("p0003", Action.UNBAN, {}),
    ("p0004", Action.ERASE, {}),
]


@pytest.fixture
def token():
    return local_issuer.mint("server", WRITE_SCOPE)


@pytest.fixture
def two():
    with ExitStack() as stack:
        yield [stack.enter_context(server()) for _ in range(2)]


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
                            self.boards.append((services.now_ms(), message))
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


def run_moderate(*arguments, **environment):
    """`manage.py moderate` in a process of its own."""
    command = [sys.executable, "manage.py", "moderate", *arguments, "--reason=test"]
    return subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_every_action_shows_on_every_open_page_at_once_and_nobody_is_told_why(two):
    store(14)
    maintenance.rebuild_ranking()
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        seconds = []
        for user_id, action, options in MODERATIONS:
            moderate(user_id, action, **options)
            seconds.append(until(lambda: shows_truth(*watchers)))
            rows = watchers[0].rows()
            assert [row["rank"] for row in rows] == list(range(1, 11))
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
    store(320)
    maintenance.rebuild_ranking(full=True)
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        for number in range(5):
            eleventh = f"p{number + 10:04}"
            moderate(f"p{number:04}", Action.BAN)
            until(lambda: shows_truth(*watchers))
            assert watchers[0].rows()[-1] == {
                "rank": 10,
                "userId": eleventh,
                "name": None,
                "score": 10_000 - number - 10,
            }
        answered = {}
        for number in range(5, 300):
            user_id = f"p{number:04}"
            with monkeypatch.context() as lost:
                if number % 3 == 0:  # the moderator's process dies after the commit
                    lost.setattr(moderation, "merge", lambda players: None)
                moderate(user_id, Action.BAN)
            answered[user_id] = services.now_ms()
            if number in (100, 200):
                ranking._client().flushall()
        until(lambda: shows_truth(*watchers))
        time.sleep(2.5)  # another round changes nothing
        assert shows_truth(*watchers)
        assert watchers[0].rows()[0]["userId"] == "p0300"
    for watcher in watchers:
        for came, message in watcher.boards:
            for row in message["top10"]:  # within 5 s also those whose merge was lost
                assert came < answered.get(row["userId"], came) + 5000
    assert maintenance.verify_ledger()[0] == 320
    assert all(repository.read_player(user_id).state is State.BANNED for user_id in answered)


def test_a_ban_holds_in_every_process_and_leaves_every_page_while_redis_is_away(two, token):
    store(12)
    maintenance.rebuild_ranking()
    valkey = pytest_plugin.part("valkey")
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        valkey.kill()
        try:
            moderate("p0000", Action.BAN)
            answered = services.now_ms()
            for part in two:
                response = post(part, token, "p0000", 10, f"late-{part.port}")
                assert (response.status_code, response.json()["code"]) == (403, "banned")
            boards = []
            while services.now_ms() < answered + 2500:  # more and more pages are opened
                for part in two:
                    with connect(f"ws://127.0.0.1:{part.port}/ws/scoreboard", open_timeout=5) as viewer:
                        message = json.loads(viewer.recv(timeout=5))
                        boards.append((services.now_ms(), message))
                time.sleep(0.05)
            until(lambda: shows_truth(*watchers))
            ages = [age(*each) for each in boards]
            assert statistics.median(ages) < 1000
            print("age of boards while Redis is away (ms):", statistics.median(ages), max(ages))
            for came, message in boards + watchers[0].boards + watchers[1].boards:
                if "p0000" in [row["userId"] for row in message["top10"]]:
                    # Told by the board's own clock, so that a busy machine cannot matter.
                    assert came - age(came, message) < answered + 500
        finally:
            valkey.start()
            valkey.wait_ready()
        moderate("p0001", Action.HIDE)
        until(lambda: shows_truth(*watchers))
    assert repository.read_player("p0000").score == 10_000


def age(came, message):
    """How old (ms) a board was when it came, by its own clock."""
    return came - datetime.fromisoformat(message["asOf"]).timestamp() * 1000


def test_an_ended_ban_restores_the_row_by_itself_and_once(two):
    store(12)
    maintenance.rebuild_ranking()
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        before = watchers[0].rows()
        moderate("p0000", Action.BAN, until=services.now_ms() + 1500)
        until(lambda: all(watcher.rows()[0]["userId"] == "p0001" for watcher in watchers))
        until(lambda: all(watcher.rows() == before for watcher in watchers), 10)
    assert [e.kind for e in repository.read_ledger("p0000") if e.actor == "scoreboard"] == ["unban"]


@pytest.mark.parametrize(
    "arguments", [["hide"], ["ban"], ["adjust", "--amount=-9990"], ["erase", "--yes"]], ids=lambda a: a[0]
)
def test_a_moderation_whose_merge_is_lost_with_its_process_is_on_the_board_in_five_seconds(two, arguments):
    store(12)
    maintenance.rebuild_ranking()
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        done = run_moderate(*arguments, "p0000", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
        assert done.returncode == 0, done.stderr
        assert stage.true_rows()[0].user_id == "p0001"
        until(lambda: shows_truth(*watchers))


@pytest.mark.parametrize("action", ["ban", "adjust", "erase"])
def test_a_moderation_without_dynamodb_is_an_error_to_try_again_and_changes_nothing(action, dynamodb_pid):
    store(1)
    before = repository.read_player("p0000")
    options = {"adjust": ["--amount=-1"], "erase": ["--yes"]}.get(action, [])
    away = run_moderate(action, "p0000", *options, DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    assert (away.returncode, away.stdout) == (3, "")
    assert "p0000: not done: The service is not available right now." in away.stderr
    assert "Traceback" not in away.stderr
    assert repository.read_player("p0000") == before
    assert repository.read_ledger("p0000") == []


def test_a_moderation_whose_answers_are_cut_off_is_done_once_when_repeated():
    stage.add("ann", 100)
    proxy = CuttingProxy(pytest_plugin.DYNAMODB_PORT)
    through = {"DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
    order = ("adjust", "ann", "--amount=-10", "--entry-id=MOD#form")
    proxy.cutting = True
    try:
        lost = run_moderate(*order, **through)
    finally:
        proxy.cutting = False
    assert lost.returncode == 3
    assert proxy.cuts
    for _ in range(2):
        assert run_moderate(*order, **through).returncode == 0
    proxy.close()
    assert repository.read_player("ann").score == 90
    assert [e.entry_id for e in repository.read_ledger("ann") if e.actor] == ["MOD#form"]
    assert maintenance.verify_ledger() == (1, [])


def test_a_moderator_meets_a_frozen_dynamodb_in_time(dynamodb_pid):
    stage.add("ann", 100)
    os.kill(dynamodb_pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            moderation.moderate(
                user_id="ann", action=Action.BAN, actor="mod", reason="test", expected_version=1
            )
        assert time.monotonic() - started < 2.5
    finally:
        os.kill(dynamodb_pid, signal.SIGCONT)
    assert repository.read_player("ann").version == 1


def test_a_second_tab_a_late_write_and_the_cache_bring_no_banned_player_back(two, token):
    store(12)
    maintenance.rebuild_ranking()
    known = repository.read_player("p0000")
    with watching(two) as watchers:
        until(lambda: shows_truth(*watchers))
        moderate("p0000", Action.BAN)
        merging.current_ranking().merge([scoring.increased(known, 5, services.now_ms()), known])
        for part in two:
            assert post(part, token, "p0000", 10, "tab").status_code == 403
        ranking._client().flushall()
        until(lambda: merging.current_ranking().board() is not None, 10)
        until(lambda: shows_truth(*watchers))
        assert "p0000" not in str(watchers[0].rows())

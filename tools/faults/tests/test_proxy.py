"""The proxies in front of a small server that counts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from tools.faults.proxies.http import (
    CUT,
    FAILED,
    FAILED_AFTER,
    THROTTLED,
    HttpProxy,
    chance,
    every_second_write,
)
from tools.faults.proxies.tcp import Proxy, wait_until
from tools.faults.tests.counter import Counter
from tools.faults.traffic.journal import Attempt, Journal, Reply, lost_and_doubled, read
from tools.faults.traffic.writers import HttpSender, Increments, Writers


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    yield counter
    counter.close()


@pytest.fixture(params=[Proxy, HttpProxy])
def proxy(request, counter) -> Iterator[Proxy]:
    proxy = request.param(counter.port)
    yield proxy
    proxy.close()


def add(proxy, increment=1, timeout_s=5.0):
    send = HttpSender([proxy.port], timeout_s=timeout_s)
    try:
        return send(Attempt("k", "ann", increment, 0.0))
    finally:
        send.close()


def test_what_is_passed_on_arrives_and_so_does_the_reply(proxy, counter):
    assert (add(proxy, 5).new_score, add(proxy, 6).new_score) == (5, 11)
    assert counter.scores == {"ann": 11}


def test_a_delay_holds_back_the_reply(proxy):
    proxy.delay(0.3)
    assert 0.3 <= _lasted(add(proxy)) < 2
    proxy.restore()
    assert add(proxy).new_score == 2


def _lasted(reply):
    assert reply.status == 200
    return reply.ended - reply.began


def test_nothing_moves_through_a_black_hole_and_what_was_held_back_arrives_in_the_end(proxy, counter):
    add(proxy)
    proxy.blackhole()
    assert add(proxy, timeout_s=0.3).status == 0
    assert counter.scores == {"ann": 1}
    waiting = threading.Thread(target=add, args=(proxy, 10))
    waiting.start()
    time.sleep(0.2)
    proxy.restore()
    waiting.join()
    wait_until(lambda: counter.scores["ann"] >= 11, 5, "the held back request arrives")


def test_refused_and_reset_connections_change_nothing(proxy, counter):
    send = HttpSender([proxy.port])
    attempt = Attempt("k", "ann", 1, 0.0)
    assert send(attempt).status == 200
    for disturb in (proxy.refuse, proxy.reset):
        disturb()
        assert [send(attempt).status, send(attempt).status] == [0, 0]
        assert counter.scores == {"ann": 1}
        proxy.restore()
        assert send(attempt).status == 200
        counter.scores["ann"] = 1
    send.close()


def test_a_cut_reply_is_lost_and_the_request_was_done(proxy, counter):
    proxy.cut_replies()
    assert add(proxy, 7).status == 0
    assert counter.scores == {"ann": 7}
    assert proxy.cuts == 1


def test_the_target_can_be_exchanged(proxy, counter):
    add(proxy)
    other = Counter()
    proxy.target_ports = [other.port]
    add(proxy, 3)
    other.close()
    assert (counter.scores, other.scores) == ({"ann": 1}, {"ann": 3})


def test_of_several_targets_each_has_its_turn_and_a_dead_one_none(counter):
    other = Counter()
    proxy = Proxy(counter.port, 1, other.port)
    assert [add(proxy).status for _ in range(6)] == [200] * 6
    assert counter.scores["ann"] + other.scores["ann"] == 6
    proxy.close()
    other.close()


def test_faults_strike_with_their_probability_before_or_after_the_work(counter):
    proxy = HttpProxy(counter.port)
    proxy.faults = chance(random.Random(7), {THROTTLED: 0.3, FAILED: 0.2, FAILED_AFTER: 0.2})
    statuses = [add(proxy).status for _ in range(200)]
    struck = proxy.struck
    assert statuses.count(400) == struck["throttled"] and 40 < struck["throttled"] < 80
    assert statuses.count(500) == struck["failed"] + struck["failed after"]
    assert counter.scores["ann"] == 200 - struck["throttled"] - struck["failed"]
    proxy.close()


def test_a_writer_whose_replies_are_cut_doubles_on_a_plain_server_and_the_journal_says_so(counter, tmp_path):
    proxy = HttpProxy(counter.port)
    fault = every_second_write(CUT)
    proxy.faults = lambda operation: fault("PutItem")
    journal = Journal(tmp_path / "journal")
    choose = Increments(["ann", "bob"])
    writers = Writers(lambda n: HttpSender([proxy.port]), journal, choose, threads=1, again=0)
    writers.start()
    wait_until(lambda: len(journal.attempts) > 10, 10, "some updates")
    writers.stop()
    proxy.close()
    journal.close()
    attempts = read(journal.path)
    assert attempts == list(journal.attempts.values())
    assert all(a.acknowledged for a in attempts)
    lost, doubled, culprits = lost_and_doubled(attempts, counter.scores)
    assert (lost, doubled) == (0, len(attempts))
    assert sorted(culprits) == sorted(f"doubled: {a}" for a in attempts)


def test_a_single_lost_or_doubled_update_is_named():
    attempts = [Attempt(f"k{n}", "ann", 100 + n, 0.0) for n in range(20)]
    for attempt in attempts:
        attempt.replies.append(Reply(200, 1))
    total = sum(a.increment for a in attempts)
    assert lost_and_doubled(attempts, {"ann": total}) == (0, 0, [])
    assert lost_and_doubled(attempts, {"ann": total - 107}) == (1, 0, ["lost: update k7 of ann (+107)"])
    assert lost_and_doubled(attempts, {"ann": total + 119}) == (0, 1, ["doubled: update k19 of ann (+119)"])


def test_a_torn_last_line_of_a_journal_does_no_harm(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.begin(Attempt("k1", "ann", 1, 0.0))
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"key":"k2","pla')
    assert [attempt.key for attempt in read(journal.path)] == ["k1"]


def test_a_key_can_be_in_a_journal_only_once(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.begin(Attempt("k1", "ann", 1, 0.0))
    with pytest.raises(ValueError, match="in the journal already"):
        journal.begin(Attempt("k1", "bob", 2, 0.0))
    journal.close()
    assert [attempt.player for attempt in read(journal.path)] == ["ann"]

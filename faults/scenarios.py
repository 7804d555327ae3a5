"""The faults, one function each: what is done to the stage while writers write and pages watch.

Each gets a Run that is under way. When it returns, everything is healed, and the invariants are checked
(faults/checker.py). What a scenario expects besides them it says with `run.expect`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import quantiles
from typing import Any

import redis

from devstack.part import Part
from devstack.parts import start_valkey
from faults import armed, keys
from faults.checker import SPARE_S
from faults.http_proxy import (
    CANCELLED_THROTTLED,
    CONFLICT,
    CUT,
    FAILED,
    FAILED_AFTER,
    THROTTLED,
    chance,
    every_second_write,
)
from faults.proxy import Proxy, wait_until
from faults.run import Run
from faults.stage import MODERATED, Web, freeze, thaw
from faults.viewers import Idlers, Pages
from faults.writers import Writers

#: A part of the emulator's, not DynamoDB's: what it acknowledged this long (s) ago survives SIGKILL.
EMULATOR_KEEPS_S = 0.5


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`options` are those of Run."""

    name: str
    title: str
    work: Callable[[Run], None]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


SCENARIOS: dict[str, Scenario] = {}
Work = Callable[[Run], None]


def scenario(name: str, title: str, **options: Any) -> Callable[[Work], Work]:
    def keep(work: Work) -> Work:
        SCENARIOS[name] = Scenario(name, title, work, options)
        return work

    return keep


# --- A merge that is lost ---------------------------------------------------------------------------


@scenario("F0", "a merge is lost after the commit")
def lost_merge(run: Run) -> None:
    stage = run.stage
    actions = ("adjust", "hide", "ban", "erase")
    with run.moderating() as moderator:
        players = [f"{run.key}-{n}" for n in range(2 * len(actions) + 1)]
        for player in players[:-1]:
            run.update(player, 500_000)
        away, killed = players[: len(actions)], players[len(actions) : -1]
        # Redis is away, and the process that knows what it missed is killed.
        stage.to_valkey.refuse()
        for action, player in zip(actions, away, strict=True):
            run.moderate(moderator, player, action, amount=-1)
        moderator.kill()
        stage.to_valkey.restore()
        _expect_merged(run, *away)
        # The process is killed between the commit and the merge.
        for action, player in zip(actions, killed, strict=True):
            moderator.start().arm(armed.AFTER_WRITE)
            run.moderate(moderator, player, action, amount=-1, killed=True)
            moderator.kill()
            _expect_merged(run, player)
        # The same for an update whose client does not come back until the board is right.
        attempt, web = run.attempt(players[-1], 500_000), stage.webs[0]
        web.arm(armed.AFTER_WRITE, players[-1])
        run.send_once(attempt)
        _expect_killed(run, web, armed.AFTER_WRITE)
        _expect_merged(run, players[-1])
        run.settle(attempt, start=1)
        moderator.start()
        for player in (players[-1], away[0], killed[0]):  # make room on the board again
            run.moderate(moderator, player, "hide")


def _expect_merged(run: Run, *players: str) -> None:
    stage = run.stage
    began = time.monotonic()
    for player in players:
        stored = stage.tables.player(player)
        version = stored.version if stored else 0
        try:
            wait_until(functools.partial(_merged, run, player, version), 5.0, "merged")
        except TimeoutError:
            run.expect(False, f"{player} was not merged in version {version} within 5 s")
    run.note(f"{len(players)} lost merges repaired after {time.monotonic() - began:.2f} s")


def _merged(run: Run, player: str, version: int) -> bool:
    return run.stage.ranking.version(run.stage.generation, player) >= version


# --- DynamoDB ---------------------------------------------------------------------------------------


@scenario("F1", "DynamoDB killed and restarted")
def dynamodb_killed(run: Run) -> None:
    stage = run.stage
    stage.to_dynamodb.refuse()
    time.sleep(EMULATOR_KEEPS_S)
    since = time.monotonic()
    stage.dynamodb.kill()
    run.last(5)
    statuses = run.statuses(since)
    run.expect(set(statuses) <= {503}, f"writes are answered with 503, not {statuses}")
    _expect_served(run, since)


@scenario("F2", "DynamoDB frozen")
def dynamodb_frozen(run: Run) -> None:
    since = time.monotonic()
    freeze(run.stage.dynamodb)
    run.last(10)
    _expect_served(run, since)
    thaw(run.stage.dynamodb)


@scenario("F3", "DynamoDB slower by 300 ms, then 2 s")
def dynamodb_slow(run: Run) -> None:
    stage = run.stage
    stage.to_dynamodb.delay(0.3)
    with _crowd(run, 20):
        fitting = _goodput(run, run.seconds(5))
    since = time.monotonic()
    with _crowd(run, 120):
        crowded = _goodput(run, run.seconds(5))
    shed = run.statuses(since).get(503, 0)
    run.note(f"at 300 ms: {fitting:.0f} updates/s of 28 writers, {crowded:.0f}/s of 128 ({shed} refused)")
    run.expect(shed > 0, "more writers than there is room for are refused")
    run.expect(crowded > 0.5 * fitting, f"goodput stays: {fitting:.0f} → {crowded:.0f} updates/s")
    stage.to_dynamodb.delay(2.0)
    run.last(5)


@contextmanager
def _crowd(run: Run, threads: int) -> Iterator[None]:
    """More writers, for a while."""
    names = iter(range(10**9))
    crowd = Writers(
        lambda n: run.send(n),
        run.journal,
        lambda dice: (f"crowd-{dice.randrange(40):02}", 1 + next(names) % 1000),
        threads=threads,
        again=0,
        name=f"{run.key}-crowd-{threads}",
    ).start()
    try:
        yield
    finally:
        crowd.stop()


def _goodput(run: Run, seconds: float) -> float:
    """Updates acknowledged per second."""
    time.sleep(1.0)
    before = run.acknowledged()
    time.sleep(seconds)
    return (run.acknowledged() - before) / seconds


@scenario("F4", "DynamoDB: 50 % 500s; 50 % throttling; 30 % conflicts")
def dynamodb_errors(run: Run) -> None:
    for mix in (
        {FAILED: 0.25, FAILED_AFTER: 0.25},
        {THROTTLED: 0.25, CANCELLED_THROTTLED: 0.25},
        {CONFLICT: 0.3},
    ):
        run.stage.to_dynamodb.faults = chance(random.Random(run.seed), mix)
        run.last(6)


@scenario("F5", "reply cut on every second write")
def replies_cut(run: Run) -> None:
    run.stage.to_dynamodb.faults = every_second_write(CUT)
    run.last(8)
    cuts = run.stage.to_dynamodb.struck["cut"]
    run.expect(cuts > 10, f"only {cuts} replies were cut")


# --- Redis ------------------------------------------------------------------------------------------


@scenario("F6", "Redis killed, restarted empty")
def redis_killed(run: Run) -> None:
    since = time.monotonic()
    run.stage.to_valkey.refuse()
    run.stage.valkey.kill()
    run.last(10)
    _expect_writes(run, since)
    _expect_served(run, since)
    run.expect(
        any(seen.at > since + 1 for page in run.pages for seen in page.boards),
        "pages are shown new boards, from the index",
    )


@scenario("F7", "Redis frozen")
def redis_frozen(run: Run) -> None:
    since = time.monotonic()
    freeze(run.stage.valkey)
    run.last(10)
    _expect_writes(run, since)
    _expect_served(run, since)
    thaw(run.stage.valkey)


@scenario("F8", "FLUSHALL under load")
def redis_flushed(run: Run) -> None:
    stage = run.stage
    run.stage.log.clear()
    stage.ranking.client.flushall()
    lasted = wait_until(lambda: len(stage.ranking.rows(stage.generation)) == 10, 5.0, "a board again")
    run.note(f"ten rows again after {lasted:.2f} s")
    run.last(3)
    rebuilt = sum("the ranking is ready" in line for line in list(stage.log))
    run.expect(rebuilt == 1, f"the ranking was rebuilt {rebuilt} times, not once")


@scenario("F9", "failover to a stale replica, and back")
def redis_failover(run: Run) -> None:
    stage = run.stage
    replica = start_valkey(None)
    try:
        _copy(stage.valkey, replica)
        run.last(4)  # the primary goes on alone
        for primary in (replica, stage.valkey):
            stage.to_valkey.target_ports = [primary.port]
            stage.to_valkey.drop()
            run.last(4)
    finally:
        stage.to_valkey.target_ports = [stage.valkey.port]
        stage.to_valkey.drop()
        replica.stop()


def _copy(primary: Part, replica: Part) -> None:
    """Make `replica` a copy that is not kept up to date."""
    client = redis.Redis.from_url(replica.url, decode_responses=True)
    client.replicaof("127.0.0.1", str(primary.port))
    try:
        wait_until(lambda: client.info("replication").get("master_link_status") == "up", 10, "a copy")
    finally:
        client.replicaof("NO", "ONE")
        client.close()


@scenario("F10", "pub/sub connections killed; Redis stops for 3 s")
def redis_pubsub_killed(run: Run) -> None:
    stage = run.stage
    for _ in range(3):
        stage.ranking.client.client_kill_filter(_type="pubsub")
        _expect_new_board(run, time.monotonic(), 2.0)
    freeze(stage.valkey)
    time.sleep(3)
    thaw(stage.valkey)
    _expect_new_board(run, time.monotonic(), 2.0)


def _expect_new_board(run: Run, since: float, seconds: float) -> None:
    def shown() -> bool:
        return all(page.boards and page.boards[-1].at > since for page in run.pages)

    try:
        wait_until(shown, seconds + SPARE_S, "new boards")
    except TimeoutError:
        run.expect(False, f"a page was shown no new board within {seconds} s")


# --- Processes --------------------------------------------------------------------------------------


@scenario("F11", "several processes, same player, same key")
def same_key(run: Run) -> None:
    for number in range(12):
        attempt = run.attempt(f"{run.key}-shared", 1 + number)
        together = [
            threading.Thread(target=run.settle, args=(attempt,), kwargs={"start": n}) for n in range(6)
        ]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
        accepted = [reply for reply in attempt.replies if reply.accepted]
        run.expect(len(accepted) == 6, f"{attempt}: {len(accepted)} of 6 were accepted")


@scenario("F12", "SIGKILL at six points of an update")
def killed_at_points(run: Run) -> None:
    for number, point in enumerate(armed.POINTS):
        web = run.stage.webs[number % len(run.stage.webs)]
        web.arm(point)
        _expect_killed(run, web, point)
        run.wait_for_updates(5)
        web.restart()


def _expect_killed(run: Run, web: Web, point: str) -> None:
    wait_until(lambda: not web.part.running, 20, f"{web.part.name} is killed {point}")
    run.expect(web.part.death() == "killed by SIGKILL", f"{web.part.name} {point}: {web.part.death()}")


@scenario("F13", "rolling SIGTERM, 50 requests in flight")
def rolling_restart(run: Run) -> None:
    stage = run.stage
    stage.to_dynamodb.delay(0.3)
    began = time.monotonic()
    with _crowd(run, 50):
        for web in stage.webs:
            time.sleep(1.0)
            ended = _terminate(web)
            _expect_answered(run, web, ended)
            web.restart()
    codes = {code for page in run.pages for at, code in page.closed if at > began}
    run.expect(codes == {1012}, f"sockets were closed with {sorted(codes)}, not 1012")
    run.expect(
        all(attempt.acknowledged for attempt in run.journal.attempts.values() if attempt.at > began),
        "every update is accepted in the end",
    )


def _terminate(web: Web) -> float:
    """When SIGTERM was sent; returns when the process has ended."""
    sent_at = time.monotonic()
    os.kill(web.part.pid, signal.SIGTERM)
    wait_until(lambda: not web.part.running, 25, f"{web.part.name} has drained")
    return sent_at


def _expect_answered(run: Run, web: Web, terminated_at: float) -> None:
    """Requests that were in flight at SIGTERM have got their answer."""
    flying = [
        reply
        for attempt in list(run.journal.attempts.values())
        for reply in list(attempt.replies)
        if reply.server == str(web.port) and reply.began < terminated_at < reply.ended
    ]
    broken = sum(reply.status == 0 for reply in flying)
    run.note(f"{web.part.name}: {len(flying)} requests in flight at SIGTERM, {broken} without an answer")
    run.expect(not broken, f"{broken} of {len(flying)} requests in flight were not answered")


# --- Viewers ----------------------------------------------------------------------------------------


@scenario("F14", "network cut between viewer and server")
def viewers_cut(run: Run) -> None:
    lines = [Proxy(*run.stage.ports) for _ in range(2)]
    for line in lines:
        run.closing(line.close)
    pages = Pages([f"http://127.0.0.1:{line.port}" for line in lines], ["cut", "silently cut"])
    run.closing(pages.stop)
    pages.start()
    run.pages += pages.pages
    wait_until(lambda: all(page.link == "live" for page in pages.pages), 15, "the pages are live")
    lines[0].refuse()
    lines[1].blackhole()
    since = time.monotonic()
    run.last(30)
    links = {link for at, link, _ in pages.pages[0].links if at > since}
    run.expect("reconnecting" in links, f"a page that is cut off says so, not {links}")
    if run.seconds(30) == 30:  # a page gives a silent socket up after 40 s
        time.sleep(12)
        link = pages.pages[1].link
        run.expect(link == "reconnecting", f"a page that hears nothing for 42 s is {link}")
    for line in lines:
        line.restore()


@scenario("F15", "2,000 silent and 500 chatty viewers that never read, 50 normal ones")
def viewers_that_do_not_read(run: Run) -> None:
    stage = run.stage
    normal = Pages([f"http://127.0.0.1:{stage.balancer.port}"] * 42, [f"normal {n}" for n in range(42)])
    run.closing(normal.stop)
    normal.start()
    run.pages += normal.pages
    wait_until(lambda: all(page.boards for page in normal.pages), 20, "normal pages")
    before = {each.pid: each.memory_mib for each in run.resources_now()}
    idlers = Idlers(stage.ports, silent=2000, chatty=500)
    run.closing(idlers.close)
    for page in run.pages:
        page.lags_s.clear()
    run.last(35)  # who is behind for 30 s is closed
    lags = [lag for page in run.pages for lag in page.lags_s]
    p99 = quantiles(lags, n=100)[98]
    grown = sum(each.memory_mib - before[each.pid] for each in run.resources_now() if each.pid in before)
    run.note(f"normal viewers: boards {p99 * 1000:.0f} ms old (p99 of {len(lags)}); memory +{grown:.0f} MiB")
    run.expect(p99 < 1.0, f"boards reach normal viewers after {p99:.2f} s (p99)")
    run.expect(grown < 2500 * 64 / 1024, f"2,500 viewers cost {grown:.0f} MiB")
    idlers.close()
    run.forget_resources()  # what Python has once taken it may keep


# --- Identity and moderation ------------------------------------------------------------------------


@scenario("F16", "Cognito's keys down, slow, rotated")
def keys_in_trouble(run: Run) -> None:
    refetch_s = 30.0 if run.seconds(30) == 30 else 2.0
    with keys.KeyServer(run.stage.folder / "keys") as published:
        to_keys = Proxy(published.port)
        run.closing(to_keys.close)
        environment = run.stage.environment | published.settings(to_keys.port)
        environment["KEYS_REFETCH_S"] = str(refetch_s)
        web = Web("web with keys", run.stage.folder, environment, run.stage.log)
        web.part.start()
        run.closing(web.part.stop)
        web.part.wait_ready()
        old, new = published.signer("old"), published.signer("new")

        def status(token: str, number: int) -> int:
            attempt = run.attempt(f"{run.key}-player", number)
            reply = keys.update(web.port, token, attempt)
            run.journal.answered(attempt, reply)
            run.expect(reply.ended - reply.began < 2 + SPARE_S, f"{attempt} took {reply.ended - reply.began}")
            return reply.status

        player = f"{run.key}-player"
        run.expect(status(old(player), 1) == 200, "a token of a published key is accepted")
        published.publish("old", "new")
        for trouble in (to_keys.refuse, lambda: to_keys.delay(10.0)):
            trouble()
            time.sleep(refetch_s)
            refused = status(new(player), 2)
            run.expect(refused in (401, 503), f"a key that cannot be fetched is {refused}, not 401 or 503")
            run.expect(status(old(player), 3) == 200, "known keys go on working")
            to_keys.restore()
        time.sleep(refetch_s + 2.0)
        run.expect(status(new(player), 4) == 200, "the new key is accepted")
        run.expect(status(old(player), 5) == 200, "the old key is accepted while it is published")


@scenario("F17", "ban, adjust, erase during F4, F6 and a partition", with_moderated=True)
def moderation_under_fire(run: Run) -> None:
    stage = run.stage

    def errors() -> None:
        mix = {FAILED: 0.15, FAILED_AFTER: 0.15, THROTTLED: 0.2}
        stage.to_dynamodb.faults = chance(random.Random(run.seed), mix)

    def killed() -> None:
        stage.to_valkey.refuse()
        stage.valkey.kill()

    with run.moderating() as moderator:
        for trouble in (errors, killed, stage.to_valkey.refuse):
            for player in MODERATED[:3]:
                run.update(player, 300_000)
            trouble()
            time.sleep(0.5)
            banned, adjusted, erased = MODERATED[:3]
            run.moderate(moderator, banned, "ban")
            run.moderate(moderator, adjusted, "adjust", amount=-7)
            run.moderate(moderator, erased, "erase")
            run.last(4)
            stage.heal()
            run.last(4)
            run.moderate(moderator, banned, "unban")
        for player in MODERATED[:3]:
            run.moderate(moderator, player, "hide")
            run.moderate(moderator, player, "unhide")


# --- What all of them need --------------------------------------------------------------------------


def _expect_served(run: Run, since: float) -> None:
    """The board was to be had all the time."""
    failed = [p for p in list(run.watch.probes) if p.began > since and p.status != 200]
    run.expect(not failed, f"{len(failed)} looks at the board failed: {failed[:1]}")


def _expect_writes(run: Run, since: float) -> None:
    statuses = run.statuses(since)
    run.expect(set(statuses) == {200}, f"writes are accepted all the time, not {statuses}")

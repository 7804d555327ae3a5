"""Redis is killed, frozen, flushed, replaced, or has missed what was merged."""

from __future__ import annotations

import functools
import time

import redis

from tools.devstack.processes.part import Part
from tools.devstack.processes.stores import start_valkey
from tools.faults import armed
from tools.faults.checks.checker import SPARE_S
from tools.faults.proxies.tcp import wait_until
from tools.faults.run import Run
from tools.faults.scenarios.catalogue import expect_served, expect_writes, scenario
from tools.faults.scenarios.processes import expect_killed
from tools.faults.stage import freeze, thaw


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
            run.moderate(moderator, player, action, amount=_amount(action))
        moderator.kill()
        stage.to_valkey.restore()
        _expect_merged(run, *away)
        # The process is killed between the commit and the merge.
        for action, player in zip(actions, killed, strict=True):
            moderator.start().arm(armed.AFTER_WRITE)
            run.moderate(moderator, player, action, amount=_amount(action), killed=True)
            moderator.kill()
            _expect_merged(run, player)
        # Both for an update whose client does not retry before the board is right.
        attempt, web = run.attempt(players[-1], 500_000), stage.webs[0]
        stage.to_valkey.refuse()
        web.arm(armed.AFTER_WRITE, players[-1])
        run.send_once(attempt)
        expect_killed(run, web, armed.AFTER_WRITE)
        stage.to_valkey.restore()
        _expect_merged(run, players[-1])
        run.settle(attempt, start=1)
        moderator.start()
        for player in (players[-1], away[0], killed[0]):  # make room on the board again
            run.moderate(moderator, player, "hide")


def _amount(action: str) -> int:
    return -1 if action == "adjust" else 0


def _expect_merged(run: Run, *players: str) -> None:
    stage = run.stage
    began = time.monotonic()
    for player in players:
        stored = stage.tables.player(player)
        version = stored.version if stored else 0
        try:
            wait_until(functools.partial(_merged, run, player, version), 5.0, "merged")
        except TimeoutError:
            run.expect(False, f"{player} was not merged in version {version} within 5 s", timed=True)
    run.note(f"{len(players)} lost merges repaired after {time.monotonic() - began:.2f} s")


def _merged(run: Run, player: str, version: int) -> bool:
    return run.stage.ranking.version(run.stage.generation, player) >= version


@scenario("F6", "Redis killed, restarted empty")
def killed(run: Run) -> None:
    since = time.monotonic()
    run.stage.to_valkey.refuse()
    run.stage.valkey.kill()
    run.last(10)
    time.sleep(max(0.0, since + 4.0 - time.monotonic()))  # a slow machine needs that for two boards
    expect_writes(run, since)
    expect_served(run, since)
    for page in run.pages:
        shown = sum(seen.at > since + 0.5 for seen in page.boards)
        run.expect(shown > 1, f"{page.name} was shown {shown} new boards from the index", timed=True)


@scenario("F7", "Redis frozen")
def frozen(run: Run) -> None:
    since = time.monotonic()
    freeze(run.stage.valkey)
    run.last(10)
    expect_writes(run, since)
    expect_served(run, since)
    thaw(run.stage.valkey)


@scenario("F8", "FLUSHALL under load")
def flushed(run: Run) -> None:
    stage = run.stage
    heard = len(stage.log)
    stage.ranking.client.flushall()
    run.mark_healed()
    lasted = wait_until(lambda: len(stage.ranking.rows(stage.generation)) == 10, 5.0, "a board again")
    run.note(f"ten rows again after {lasted:.2f} s")

    def rebuilt() -> int:
        return sum("the ranking is ready" in line for line in stage.log[heard:])

    wait_until(lambda: rebuilt() > 0, 5.0, "the ranking is ready")  # its rows are there before that
    run.last(3)
    run.expect(rebuilt() == 1, f"the ranking was rebuilt {rebuilt()} times, not once")


@scenario("F9", "failover to a stale replica, and back")
def failover(run: Run) -> None:
    stage = run.stage
    replica = start_valkey(None)
    try:
        _copy(stage.valkey, replica)
        run.last(4)  # the primary goes on alone
        for primary in (replica, stage.valkey):
            stage.to_valkey.target_ports = [primary.port]
            stage.to_valkey.drop()
            run.mark_healed()
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
def pubsub_killed(run: Run) -> None:
    stage = run.stage
    for _ in range(3):
        stage.ranking.client.client_kill_filter(_type="pubsub")
        _expect_new_board(run, time.monotonic(), 2.0)
    freeze(stage.valkey)
    time.sleep(3)
    thaw(stage.valkey)
    run.mark_healed()
    _expect_new_board(run, time.monotonic(), 2.0)


def _expect_new_board(run: Run, since: float, seconds: float) -> None:
    def shown() -> bool:
        return all(page.boards and page.boards[-1].at > since for page in run.pages)

    try:
        wait_until(shown, seconds + SPARE_S, "new boards")
    except TimeoutError:
        run.expect(False, f"a page was shown no new board within {seconds} s", timed=True)

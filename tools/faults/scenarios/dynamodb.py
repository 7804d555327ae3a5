"""DynamoDB is killed, frozen, slow, failing, or its replies are lost."""

from __future__ import annotations

import random
import time

from tools.faults.checks import checker
from tools.faults.proxies.http import (
    CANCELLED_THROTTLED,
    CONFLICT,
    CUT,
    FAILED,
    FAILED_AFTER,
    THROTTLED,
    chance,
    every_second_write,
)
from tools.faults.run import Run
from tools.faults.scenarios.catalogue import expect_served, scenario
from tools.faults.stage import freeze, thaw

#: Updates before a store goes away, so that there is something to lose.
BEFORE = 100
#: The emulator, unlike DynamoDB, may lose in a SIGKILL what it acknowledged within this time (s).
EMULATOR_KEEPS_S = 0.5


@scenario("F1", "DynamoDB killed and restarted")
def killed(run: Run) -> None:
    stage = run.stage
    run.wait_for_updates(BEFORE)
    stage.to_dynamodb.refuse()
    time.sleep(EMULATOR_KEEPS_S)
    since = time.monotonic()
    stage.dynamodb.kill()
    run.last(5)
    statuses = run.statuses(since)
    run.expect(set(statuses) <= {503}, f"writes are answered with 503, not {statuses}")
    run.expect(503 in statuses, "no write was answered", timed=True)
    expect_served(run, since)


@scenario("F2", "DynamoDB frozen")
def frozen(run: Run) -> None:
    run.wait_for_updates(BEFORE)
    since = time.monotonic()
    freeze(run.stage.dynamodb)
    run.last(10)
    statuses = run.statuses(since + 0.1)
    run.expect(set(statuses) <= {503}, f"writes are answered with 503, not {statuses}")
    expect_served(run, since)
    thaw(run.stage.dynamodb)


@scenario("F3", "DynamoDB slower by 300 ms, then 2 s")
def slow(run: Run) -> None:
    stage = run.stage
    stage.to_dynamodb.delay(0.3)
    with run.crowd(20):
        fitting = _goodput(run, run.seconds(5))
    since = time.monotonic()
    with run.crowd(90):
        crowded = _goodput(run, run.seconds(5))
    shed = run.refused(since)
    run.note(f"at 300 ms: {fitting:.0f} updates/s of 28 writers, {crowded:.0f}/s of 98")
    run.expect(len(shed) >= checker.REFUSALS, "more writers than there is room for are refused")
    run.note(f"{len(shed)} of them were refused, after {checker.p99(shed) * 1000:.0f} ms (p99)")
    stays = crowded > 0.5 * fitting
    run.expect(stays, f"goodput stays: {fitting:.0f} → {crowded:.0f} updates/s", timed=True)
    stage.to_dynamodb.delay(2.0)
    with run.crowd(20):
        run.last(5)
        stage.to_dynamodb.restore()  # what they have begun can be settled
        run.mark_healed()


def _goodput(run: Run, seconds: float) -> float:
    """Updates acknowledged per second."""
    time.sleep(1.0)
    before = run.acknowledged()
    time.sleep(seconds)
    return (run.acknowledged() - before) / seconds


@scenario("F4", "DynamoDB: 50 % 500s; 50 % throttling; 30 % conflicts")
def failing(run: Run) -> None:
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

"""F18: faults at random, several at once, from a seed.

Four lanes run side by side, each with dice of its own, so that a seed stands for one sequence of faults
in each lane: DynamoDB, Redis, the server processes, and moderators.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tools.faults import armed
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
from tools.faults.proxies.tcp import wait_until
from tools.faults.run import Run
from tools.faults.scenarios.catalogue import scenario
from tools.faults.scenarios.dynamodb import EMULATOR_KEEPS_S
from tools.faults.stage import MODERATED, Web, freeze, thaw

#: A fault lasts between these times (s), and between two of a lane there is as much quiet.
SHORTEST_S, LONGEST_S = 0.5, 4.0
SECONDS = 120.0
#: Points that bring any player onto the board.
LIFT = 200_000

Lane = Callable[["Mix", random.Random], None]


class Mix:
    """One run of the mix. Only the `mortal` servers (default: all) are killed or told to stop."""

    def __init__(self, run: Run, seconds: float, mortal: Sequence[Web] = ()) -> None:
        self.run = run
        self.mortal = mortal or run.stage.webs
        self.struck: Counter[str] = Counter()
        self._until = time.monotonic() + seconds
        self._failures: list[str] = []

    def go(self) -> None:
        """Run all lanes to their end; a lane that fails is a violation."""
        threads = [threading.Thread(target=self._lane, args=(lane,)) for lane in LANES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in self._failures:
            self.run.expect(False, failure)
        found = ", ".join(f"{name} {count}" for name, count in sorted(self.struck.items()))
        self.run.note(f"seed {self.run.seed}: {found}")

    def over(self) -> bool:
        return time.monotonic() > self._until

    def pause(self, dice: random.Random) -> None:
        """Let time pass: that of a fault, or of quiet."""
        lasts_s = dice.uniform(SHORTEST_S, LONGEST_S)
        time.sleep(max(0.0, min(lasts_s, self._until - time.monotonic())))

    def _lane(self, lane: Lane) -> None:
        dice = random.Random(f"{self.run.seed}-{lane.__name__}")
        try:
            while not self.over():
                self.pause(dice)
                if not self.over():
                    lane(self, dice)
        except Exception as error:
            self._failures.append(f"the lane {lane.__name__} failed: {type(error).__name__}: {error}")


def dynamodb(mix: Mix, dice: random.Random) -> None:
    stage = mix.run.stage
    proxy = stage.to_dynamodb
    kind = dice.choice(["slow", "errors", "throttled", "conflicts", "cut", "refused", "silent", "killed"])
    mix.struck[f"DynamoDB {kind}"] += 1
    chances = random.Random(dice.random())  # of its own: how many calls there will be depends on the machine
    match kind:
        case "slow":
            proxy.delay(dice.uniform(0.1, 1.0))
        case "errors":
            proxy.faults = chance(chances, {FAILED: 0.25, FAILED_AFTER: 0.25})
        case "throttled":
            proxy.faults = chance(chances, {THROTTLED: 0.25, CANCELLED_THROTTLED: 0.25})
        case "conflicts":
            proxy.faults = chance(chances, {CONFLICT: 0.3})
        case "cut":
            proxy.faults = every_second_write(CUT)
        case "refused":
            proxy.refuse()
        case "silent":
            proxy.blackhole()
        case "killed":
            proxy.refuse()
            time.sleep(EMULATOR_KEEPS_S)
            stage.dynamodb.kill()
            stage.dynamodb.start()
            stage.dynamodb.wait_ready()
    if kind != "killed":
        mix.pause(dice)
    proxy.restore()


def redis(mix: Mix, dice: random.Random) -> None:
    stage = mix.run.stage
    kind = dice.choice(["slow", "refused", "silent", "frozen", "flushed", "killed", "without pub/sub"])
    mix.struck[f"Redis {kind}"] += 1
    match kind:
        case "slow":
            stage.to_valkey.delay(dice.uniform(0.02, 0.3))
        case "refused":
            stage.to_valkey.refuse()
        case "silent":
            stage.to_valkey.blackhole()
        case "frozen":
            freeze(stage.valkey)
        case "flushed":
            stage.ranking.client.flushall()
            return
        case "killed":
            stage.to_valkey.refuse()
            stage.valkey.kill()
        case "without pub/sub":
            stage.ranking.client.client_kill_filter(_type="pubsub")
            return
    mix.pause(dice)
    thaw(stage.valkey)
    if kind == "killed":
        stage.valkey.start()
        stage.valkey.wait_ready()
    stage.to_valkey.restore()


def processes(mix: Mix, dice: random.Random) -> None:
    web = dice.choice(mix.mortal)
    kind = dice.choice(["SIGTERM", "SIGKILL", *armed.POINTS])
    mix.struck[f"process {kind}"] += 1
    if kind in armed.POINTS:
        web.arm(kind)
        try:
            wait_until(lambda: not web.part.running, LONGEST_S, "killed")
        except TimeoutError:  # no update came there: a store was away
            web.disarm()
    else:
        if web.part.running:
            os.kill(web.part.pid, signal.SIGTERM if kind == "SIGTERM" else signal.SIGKILL)
        wait_until(lambda: not web.part.running, 30, f"{web.part.name} ends on {kind}")
    if not web.part.running:
        web.part.reap()
        web.part.start()
        wait_until(web.part.ready, 60, f"{web.part.name} is ready again")


def moderators(mix: Mix, dice: random.Random) -> None:
    run = mix.run
    player = dice.choice(MODERATED)
    with run.moderating() as moderator:
        kind = dice.choice(["ban", "hide", "adjust"])
        mix.struck[f"moderator {kind}s"] += 1
        run.update(player, LIFT)  # onto the board, so that the removal can be seen
        run.moderate(moderator, player, kind, amount=dice.randint(1, 99) if kind == "adjust" else 0)
        if kind != "adjust":
            mix.pause(dice)
            run.moderate(moderator, player, f"un{kind}")


LANES: tuple[Lane, ...] = (dynamodb, redis, processes, moderators)


@scenario("F18", "random mix: stores, processes and moderators", with_moderated=True)
def random_mix(run: Run) -> None:
    Mix(run, run.seconds(SECONDS)).go()

"""How costs grow with players, viewers and updates: `make bench-growth ARGS=[players viewers updates]`.

- players: 8 writers at once, and ranks, while the ranking holds 10³ … 10⁶ players.
- viewers: five updates a second, first such that change nothing, then such that change the board, with 10² …
  10⁴ open sockets.
- updates: 1 … 400 updates a second, sent when they are due and not when the last one was answered.

Servers on one core, clients and stores on the other. Of each row, all sizes are up at the same time,
each with stores of its own, and take turns in rounds. Medians and ranges go to docs/figures/growth.json, the
tables and plots with the capacity model into docs/. `--quick` measures less and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from realtime.server.open_files import raise_file_limit
from tools.benchmarks.counting import cpu_s
from tools.benchmarks.product import Writer
from tools.benchmarks.programs import CLIENT_CORE, Program, audience, build
from tools.devstack.processes.part import Part
from tools.devstack.processes.stores import start_dynamodb
from tools.faults.traffic.journal import Attempt
from tools.faults.traffic.writers import HttpSender
from tools.reporting import machine, pages
from tools.research.growth import report
from tools.research.growth.world import World, made_world
from tools.research.rivals.contenders import CONTENDERS, running

OURS = CONTENDERS[0]
WRITERS = 8
Measured = dict[str, float]
#: A size and what a turn of it has found, until all rounds are over.
Turns = Iterator[tuple[int, Measured]]


@dataclass(frozen=True)
class Plan:
    """Sizes and times."""

    rounds: int = 5
    players: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    viewers: tuple[int, ...] = (100, 300, 1_000, 3_000, 10_000)
    rates: tuple[int, ...] = (1, 3, 10, 30, 60, 100, 150, 200, 300, 400)
    seconds: float = 4.0

    def sizes(self, row: str) -> tuple[int, ...]:
        return {"players": self.players, "viewers": self.viewers, "updates": self.rates}[row]


QUICK = Plan(1, (1_000, 100_000), (100, 1_000), (10, 100, 300), 3.0)


@contextlib.contextmanager
def serving(world: World, data: Path) -> Iterator[Part]:
    with running(OURS, world.env, data / "servers.log") as part:
        yield part


def quantile(sorted_values: list[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def progress(what: str, size: int, found: Measured) -> None:
    print(
        f"… {what} {size:,}: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()), flush=True
    )


# --- Players ----------------------------------------------------------------------------------------


def players(plan: Plan, dynamodb: Part, data: Path) -> Turns:
    """Cost and time of updates and of ranks, as the ranking grows."""
    with contextlib.ExitStack() as stack:
        worlds = {}
        for count in plan.players:
            world = stack.enter_context(made_world(count, dynamodb, data))
            worlds[count] = (world, stack.enter_context(serving(world, data)))
            print(f"… a world of {count:,} players is ready", flush=True)
        for _ in range(plan.rounds):
            for count, (world, part) in worlds.items():
                yield count, write_at_once(world, part, plan.seconds) | ask_ranks(world, part)


def write_at_once(world: World, part: Part, seconds: float) -> Measured:
    """All writers, for players drawn from all ranks."""
    writers = [Writer(part.port, world.token) for _ in range(WRITERS)]
    deadline = time.perf_counter() + 1.0 + seconds
    begins = time.perf_counter() + 1.0
    took: list[float] = []

    def write(writer: Writer) -> None:
        dice = random.Random()
        while (now := time.perf_counter()) < deadline:
            writer.add(dice.choice(world.stored))
            if now > begins:
                took.append((time.perf_counter() - now) * 1000)

    with ThreadPoolExecutor(WRITERS) as pool:
        work = [pool.submit(write, writer) for writer in writers]
        time.sleep(1.0)
        cpu, redis = cpu_s(part.pid), cpu_s(world.valkey.pid)
        time.sleep(seconds)
        cpu, redis = cpu_s(part.pid) - cpu, cpu_s(world.valkey.pid) - redis
        for each in work:
            each.result()
    for writer in writers:
        writer.close()
    took.sort()
    return {
        "updates_per_s": len(took) / seconds,
        "cpu_ms_per_update": cpu * 1000 / len(took),
        "redis_ms_per_update": redis * 1000 / len(took),
        "p50_ms": quantile(took, 0.5),
    }


def ask_ranks(world: World, part: Part, count: int = 100) -> Measured:
    """GET /score/me, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", part.port, timeout=5)
    took, cpu = [], cpu_s(part.pid)
    for number in range(count):
        user_id = world.with_tokens[number % len(world.with_tokens)]
        began = time.perf_counter()
        connection.request("GET", "/score/me", headers={"Authorization": f"Bearer {world.tokens[user_id]}"})
        answer = json.loads(connection.getresponse().read())
        took.append((time.perf_counter() - began) * 1000)
        if not answer.get("rank"):
            raise RuntimeError(f"no rank: {answer}")
    connection.close()
    took.sort()
    return {"rank_p50_ms": quantile(took, 0.5), "cpu_ms_per_rank": (cpu_s(part.pid) - cpu) * 1000 / count}


# --- Viewers ----------------------------------------------------------------------------------------


def viewers(plan: Plan, dynamodb: Part, data: Path) -> Turns:
    """The cost of a board, and the time until the last viewer has it, as the audience grows."""
    with contextlib.ExitStack() as stack:
        stages = {}
        for count in plan.viewers:
            world = stack.enter_context(made_world(300, dynamodb, data))
            part = stack.enter_context(serving(world, data))
            client = audience(part.port, count)
            stack.callback(client.stop)
            stages[count] = (world, part, client)
            print(f"… {count:,} viewers are there", flush=True)
        for _ in range(plan.rounds):
            idle = idle_shares([part for _, part, _ in stages.values()])
            for (count, (world, part, client)), share in zip(stages.items(), idle, strict=True):
                yield count, change_boards(world, part, client, plan.seconds, share)


def idle_shares(parts: list[Part], seconds: float = 10.0) -> list[float]:
    """The share of a core that each idle server uses."""
    before = [cpu_s(part.pid) for part in parts]
    time.sleep(seconds)
    return [(cpu_s(part.pid) - cpu) / seconds for part, cpu in zip(parts, before, strict=True)]


def change_boards(world: World, part: Part, client: Program, seconds: float, idle_share: float) -> Measured:
    """Five updates a second that change nothing, then five that change the board."""

    def update(player: str) -> float:
        """Processor time (ms) of an update; the idle process's use is taken off."""
        cpu, began = cpu_s(part.pid), time.perf_counter()
        done = 0
        while time.perf_counter() < began + seconds:
            writer.add(player)
            done += 1
            time.sleep(max(0.0, began + done / 5 - time.perf_counter()))
        time.sleep(0.5)
        took = time.perf_counter() - began
        return (cpu_s(part.pid) - cpu - idle_share * took) * 1000 / done

    writer = Writer(part.port, world.token)
    without = update(world.stored[-1])
    client.ask()
    with_board = update(world.stored[0])
    heard = json.loads(client.ask())
    writer.close()
    last = sorted(us / 1000 for us in heard["last_us"])
    if heard["lost"] or not last:
        raise RuntimeError(f"{heard['lost']} viewers were lost, {len(last)} boards were complete")
    return {
        "cpu_ms_per_update": without,
        "cpu_ms_with_board": with_board,
        "last_p50_ms": quantile(last, 0.5),
        "last_max_ms": last[-1],
        "idle_share": idle_share,
    }


# --- Updates ----------------------------------------------------------------------------------------


def updates(plan: Plan, dynamodb: Part, data: Path) -> Turns:
    """From one update a second to more than a vCPU can do, with 100 sockets open."""
    with made_world(10_000, dynamodb, data) as world, serving(world, data) as part:
        client = audience(part.port, 100)
        try:
            for turn in range(plan.rounds):
                for rate in random.Random(turn).sample(plan.rates, len(plan.rates)):
                    yield rate, offer(world, part, rate, plan.seconds)
                    time.sleep(1.0)
        finally:
            client.stop()


def offer(world: World, part: Part, rate: int, seconds: float) -> Measured:
    """Send `rate` updates a second, without waiting for answers. Times count from when each was due."""
    threads = min(96, max(4, rate))
    senders = [HttpSender([part.port], world.token, timeout_s=5) for _ in range(threads)]
    idle_senders = list(senders)
    took: list[float] = []
    refused: list[int] = []
    dice = random.Random()

    def one(player: str, due: float) -> None:
        sender = idle_senders.pop()
        try:
            reply = sender(Attempt(f"{player}-{due}-{time.monotonic_ns()}", player, 1, due))
            if reply.status == 200:
                took.append((time.perf_counter() - due) * 1000)
            else:
                refused.append(reply.status)
        finally:
            idle_senders.append(sender)

    cpu, began = cpu_s(part.pid), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for number in range(int(rate * seconds) or 1):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, dice.choice(world.stored), due)
        pool.shutdown(wait=True)
    time.sleep(max(0.0, began + seconds - time.perf_counter()))
    elapsed = time.perf_counter() - began
    cpu = cpu_s(part.pid) - cpu
    for sender in senders:
        sender.close()
    took.sort()
    return {
        "accepted_per_s": len(took) / elapsed,
        "refused_share": len(refused) / (len(refused) + len(took)),
        "p50_ms": quantile(took, 0.5),
        "p99_ms": quantile(took, 0.99),
        "cpu_ms_per_update": cpu * 1000 / len(took),
        "busy": cpu / elapsed,
    }


ROWS: dict[str, Callable[[Plan, Part, Path], Turns]] = {
    "players": players,
    "viewers": viewers,
    "updates": updates,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        "python3 -m tools bench-growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", default=list(ROWS), help="some of: players viewers updates")
    parser.add_argument("--quick", action="store_true", help="measure less and write nothing")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(unknown)}")
    plan = QUICK if options.quick else Plan()
    build()
    raise_file_limit()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    kept: dict[str, Any] = pages.load("growth.json") if (pages.FIGURES / "growth.json").exists() else {}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        dynamodb = start_dynamodb(None)
        try:
            for row in options.rows:
                conditions = machine.Conditions()
                found: dict[int, list[Measured]] = {size: [] for size in plan.sizes(row)}
                for size, measured in ROWS[row](plan, dynamodb, Path(folder)):
                    progress(row, size, measured)
                    found[size].append(measured)
                    if not all(found.values()):
                        continue
                    kept[row] = {str(size): medians(turns) for size, turns in found.items()}
                    kept.setdefault("conditions", {})[row] = conditions.so_far()
                    if not options.quick:  # what is measured stays, also when the run is interrupted
                        pages.save("growth.json", kept)
        finally:
            dynamodb.stop()
    if options.quick:
        print("\n\n".join(report.parts(kept).values()))
    else:
        report.write(kept)


def medians(turns: list[Measured]) -> dict[str, list[float]]:
    """Of each figure: the median, the lowest and the highest of the rounds. Raises RuntimeError for negative
    ones."""
    if wrong := [turn for turn in turns if min(turn.values()) < 0]:
        raise RuntimeError(f"there is no such thing: {wrong}")
    return {
        name: [median(values), min(values), max(values)]
        for name in turns[0]
        if (values := [turn[name] for turn in turns])
    }


if __name__ == "__main__":
    main()

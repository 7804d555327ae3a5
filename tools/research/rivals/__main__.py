"""A comparison with Express + socket.io and plain Channels: `make bench-rivals`.

Our server, the usual way on Node (express.mjs) and the plain way with Channels (plain_channels.py), on
the same DynamoDB Local and Valkey, in the same run. Servers on one core, clients and stores on the other.

1. After a round that does not count, in rounds in which the servers take turns, each round begun by another:
   the time from sending an update to the last of 100 open
   pages; then 8 writers at once with 100 and with 1,000 open sockets.
2. The faults F5, F6 and F12 (tools/research/rivals/faults.py).

Prints the tables with versions and method, and writes them into docs/rivals.md. `--quick` measures one
short round and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from realtime.server.open_files import raise_file_limit
from tools.benchmarks.counting import cpu_s
from tools.benchmarks.product import Writer
from tools.benchmarks.programs import BUILD, CLIENT_CORE, audience, build
from tools.devstack.processes.part import Part
from tools.devstack.processes.stores import start_dynamodb, start_valkey
from tools.reporting import machine, pages
from tools.research.rivals import faults
from tools.research.rivals.contenders import (
    CONTENDERS,
    Contender,
    environment,
    open_viewers,
    running,
    shows,
    token,
)

PAGES = 100
SOCKETS = (100, 1000)
WRITERS = 8


@dataclass(frozen=True)
class Plan:
    """How long everything takes."""

    rounds: int = 5
    updates: int = 60  # of the latency measurement, in each round
    write_s: float = 5.0
    warm_up_s: float = 1.5


@dataclass
class Entrant:
    """A contender at work, and its results."""

    contender: Contender
    part: Part
    token: str
    latencies: list[list[float]] = field(default_factory=list)  # of each round
    throughput: dict[int, list[dict[str, float]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.contender.name


async def measure_latency(entrant: Entrant, updates: int) -> None:
    """Milliseconds from sending each update to the last page that shows it."""
    writer = Writer(entrant.part.port, entrant.token)
    viewers = await open_viewers(entrant.contender, entrant.part.port, PAGES)
    latencies = []
    score = await asyncio.to_thread(writer.add, "leader", 1_000_000)
    await asyncio.gather(*(shows(viewer, "leader", score) for viewer in viewers))
    for _ in range(updates):
        await asyncio.sleep(random.uniform(0.06, 0.14))
        score += 1
        waiting = [asyncio.create_task(shows(viewer, "leader", score)) for viewer in viewers]
        await asyncio.sleep(0)
        began = time.perf_counter()
        await asyncio.to_thread(writer.add, "leader")
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting)
        latencies.append((time.perf_counter() - began) * 1000)
    entrant.latencies.append(sorted(latencies))
    await asyncio.gather(*(viewer.close() for viewer in viewers))
    writer.close()


def measure_throughput(entrant: Entrant, sockets: int, plan: Plan) -> None:
    """All writers at once, with so many sockets open."""
    contender = entrant.contender
    client = audience(entrant.part.port, sockets, path=contender.path, engine_io=contender.engine_io)
    try:
        with writing(entrant) as count:
            time.sleep(plan.warm_up_s)
            client.ask()
            updates, cpu, began = count(), cpu_s(entrant.part.pid), time.perf_counter()
            time.sleep(plan.write_s)
            updates, cpu = count() - updates, cpu_s(entrant.part.pid) - cpu
            took = time.perf_counter() - began
            heard = json.loads(client.ask())
    finally:
        client.stop()
    entrant.throughput.setdefault(sockets, []).append(
        {
            "updates_per_s": updates / took,
            "cpu_ms_per_update": cpu * 1000 / max(1, updates),
            "deliveries_per_s": heard["deliveries"] / took,
        }
    )


@contextlib.contextmanager
def writing(entrant: Entrant) -> Iterator[Callable[[], int]]:
    """Writers with a player and a connection each, as fast as answers come; yields the count of updates."""
    counts: Counter[int] = Counter()
    over = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        writer = Writer(entrant.part.port, entrant.token)
        try:
            while not over.is_set():
                writer.add(f"writer-{number}")
                counts[number] += 1
        except RuntimeError as error:
            failures.append(error)
        finally:
            writer.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: counts.total()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def measure(plan: Plan, data: Path) -> list[dict[str, Any]]:
    dynamodb, valkey = start_dynamodb(None), start_valkey(None)
    try:
        env = environment(data, dynamodb.url, valkey.url)
        key = token(env)
        with contextlib.ExitStack() as stack:
            entrants = []
            for contender in CONTENDERS:
                part = stack.enter_context(running(contender, env, data / "servers.log"))
                entrants.append(Entrant(contender, part, key))
            for entrant in entrants:
                asyncio.run(measure_latency(entrant, plan.updates // 2))
                measure_throughput(entrant, SOCKETS[0], plan)
                entrant.latencies.clear()
                entrant.throughput.clear()
            for turn in range(plan.rounds):
                first = turn % len(entrants)
                for entrant in entrants[first:] + entrants[:first]:
                    asyncio.run(measure_latency(entrant, plan.updates))
                    for sockets in SOCKETS:
                        measure_throughput(entrant, sockets, plan)
                    last = entrant.throughput[SOCKETS[-1]][-1]
                    print(
                        f"… round {turn + 1} of {plan.rounds}, {entrant.name}: p50 "
                        f"{median(entrant.latencies[-1]):.0f} ms, {last['updates_per_s']:.0f} updates/s and "
                        f"{last['deliveries_per_s']:,.0f} deliveries/s at {SOCKETS[-1]:,} sockets",
                        flush=True,
                    )
        return [
            {
                "server": e.name,
                "latencies": e.latencies,
                "throughput": {str(k): v for k, v in e.throughput.items()},
            }
            for e in entrants
        ]
    finally:
        valkey.stop()
        dynamodb.stop()


# --- The report -------------------------------------------------------------------------------------


def performance(results: list[dict[str, Any]]) -> str:
    head = ["server", f"POST to the last of {PAGES} pages p50 (ms)", "p99 (ms)"]
    for sockets in SOCKETS:
        head += [f"updates/s, {sockets:,} sockets", "server CPU ms per update", "deliveries/s"]
    rows = []
    for result in results:
        late = sorted(ms for turn in result["latencies"] for ms in turn)
        medians = [{"p50": median(turn)} for turn in result["latencies"]]
        row = [result["server"], middle(medians, "p50", ".0f"), f"{late[int(len(late) * 0.99)]:.0f}"]
        for sockets in SOCKETS:
            turns = result["throughput"][str(sockets)]
            row += [
                middle(turns, "updates_per_s", ",.0f"),
                middle(turns, "cpu_ms_per_update", ".1f"),
                middle(turns, "deliveries_per_s", ",.0f"),
            ]
        rows.append(row)
    return pages.table(head, rows)


def middle(turns: list[dict[str, float]], field: str, form: str) -> str:
    """The median of the rounds, and the lowest and highest in brackets."""
    numbers = [turn[field] for turn in turns]
    span = f" ({min(numbers):{form}}–{max(numbers):{form}})" if len(numbers) > 1 else ""
    return f"{median(numbers):{form}}{span}"


def versions() -> str:
    wanted = json.loads((BUILD / "package.json").read_text())["dependencies"]
    python = ("Django", "djangorestframework", "channels", "channels-redis", "daphne", "pynamodb", "redis")
    return machine.versions(BUILD, [name for name in sorted(wanted) if name != "ws"], python)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python3 -m tools bench-rivals",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one short round, nothing is written")
    quick: bool = parser.parse_args().quick
    build()
    raise_file_limit()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    with tempfile.TemporaryDirectory(prefix="rivals-") as folder:
        before = machine.Conditions()
        figures = measure(Plan(1, 20, 3.0, 1.0) if quick else Plan(), Path(folder))
        conditions = before.so_far()
        found = list(faults.run(Path(folder), quick=quick))
    parts = {
        "versions": versions(),
        "figures": f"{performance(figures)}\n\n{machine.sentence(conditions)}",
        "faults": faults.report(found),
    }
    for name, text in parts.items():
        print(f"\n## {name}\n\n{text}", flush=True)
    if not quick:
        results = [dataclasses.asdict(result) for result in found]
        pages.save("rivals.json", {"figures": figures, "conditions": conditions, "faults": results})
        for name, text in parts.items():
            pages.fill("rivals.md", name, text)


if __name__ == "__main__":
    main()

"""The path of an update from the POST to the last of many open pages: time, CPU and round trips.

`make bench-path` runs it on stores and a server of its own and prints the figures with their method.
"""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import quantiles

from websockets.asyncio.client import ClientConnection, connect

from tools.benchmarks.counting import DynamoDBProxy, RedisMonitor, cpu_s
from tools.benchmarks.product import Writer, server, server_token, stores
from tools.devstack.processes.part import Part
from tools.reporting import machine

SOCKETS = 100
LATENCY_UPDATES = 300
WRITERS = 8
WARM_UP_SECONDS = 3.0
WRITE_SECONDS = 15.0
COUNTED_UPDATES = 200
IDLE_SECONDS = 10.0

METHOD = f"""\
Method
  One machine, {os.cpu_count()} cores, {{pinning}}.
  DynamoDB Local and Valkey write to disk as under `make run`; one server process (`manage.py serve`).
  Latency: {SOCKETS} open sockets, {LATENCY_UPDATES} updates one after the other with pauses of 60-140 ms;
  the clock runs from before the POST is sent until the last socket has received the new score.
  Throughput: {WRITERS} writers with a player and a connection each, {WRITE_SECONDS:.0f} s after a warm-up of
  {WARM_UP_SECONDS:.0f} s, {SOCKETS} sockets open; CPU time is the server process's, as the system counts it.
  Round trips: a second server process behind a proxy that counts DynamoDB calls, Redis commands by
  MONITOR; {COUNTED_UPDATES} updates one after the other, less what the idle server asks in the same time.
"""


async def arrival(socket: ClientConnection, mark: str) -> float:
    """The time at which a board with the mark arrives."""
    async for message in socket:
        if mark in str(message):
            return time.perf_counter()
    raise RuntimeError("the server closed a socket")


async def latencies(port: int, writer: Writer) -> list[float]:
    """Milliseconds from each POST to the last socket."""
    sockets = await asyncio.gather(*(connect(f"ws://127.0.0.1:{port}/ws/scoreboard") for _ in range(SOCKETS)))
    took = []
    score = writer.add("leader", 1000)
    for _ in range(LATENCY_UPDATES):
        await asyncio.sleep(random.uniform(0.06, 0.14))
        score += 1
        waiting = [asyncio.create_task(arrival(socket, f'"score":{score}')) for socket in sockets]
        await asyncio.sleep(0)
        began = time.perf_counter()
        await asyncio.to_thread(writer.add, "leader")
        async with asyncio.timeout(10):
            took.append((max(await asyncio.gather(*waiting)) - began) * 1000)
    await asyncio.gather(*(socket.close() for socket in sockets))
    return took


@contextmanager
def open_sockets(port: int) -> Iterator[None]:
    """Open pages, in a process of their own, so that reading does not slow the writers."""
    script = (
        "import asyncio, sys\n"
        "from websockets.asyncio.client import connect\n"
        "async def look():\n"
        f"    async with connect('ws://127.0.0.1:{port}/ws/scoreboard') as socket:\n"
        "        async for _ in socket: pass\n"
        "async def main():\n"
        f"    await asyncio.gather(*(look() for _ in range({SOCKETS})))\n"
        "asyncio.run(main())\n"
    )
    lookers = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        lookers.kill()
        lookers.wait()


def throughput(web: Part, token: str) -> tuple[float, float]:
    """(updates per second, CPU milliseconds of the server per update) with all writers at once."""
    counts: Counter[int] = Counter()
    over = threading.Event()

    def write(number: int) -> None:
        writer = Writer(web.port, token)
        while not over.is_set():
            writer.add(f"writer-{number}")
            counts[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    time.sleep(WARM_UP_SECONDS)
    updates, cpu, began = counts.total(), cpu_s(web.pid), time.perf_counter()
    time.sleep(WRITE_SECONDS)
    updates, cpu = counts.total() - updates, cpu_s(web.pid) - cpu
    took = time.perf_counter() - began
    alive = all(thread.is_alive() for thread in threads)
    over.set()
    for thread in threads:
        thread.join()
    if not alive:
        raise RuntimeError("a writer failed")
    return updates / took, cpu * 1000 / updates


def per_update(stores: dict[str, Counter[str]], work: Callable[[], None]) -> dict[str, dict[str, float]]:
    """Calls per update to each store during `work`, less what an idle server calls in the same time."""

    def asked_during(action: Callable[[], None]) -> tuple[dict[str, Counter[str]], float]:
        before, began = {store: Counter(calls) for store, calls in stores.items()}, time.perf_counter()
        action()
        took = time.perf_counter() - began
        return {store: Counter(calls) - before[store] for store, calls in stores.items()}, took

    idle, idle_seconds = asked_during(lambda: time.sleep(IDLE_SECONDS))
    busy, busy_seconds = asked_during(work)
    share = busy_seconds / idle_seconds
    return {
        store: {
            name: max(0.0, number - idle[store][name] * share) / COUNTED_UPDATES
            for name, number in calls.items()
        }
        for store, calls in busy.items()
    }


def shown(calls: dict[str, float]) -> str:
    parts = [f"{name} {number:.2f}" for name, number in sorted(calls.items()) if number >= 0.02]
    return f"{sum(calls.values()):.2f} ({', '.join(parts)})"


def main() -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pinned = len(cores) > 1
    if pinned:
        os.sched_setaffinity(0, set(cores[1:]))
    pinning = f"server on core {cores[0]}, clients and stores on the others" if pinned else "nothing pinned"
    print(METHOD.format(pinning=pinning), flush=True)
    conditions = machine.Conditions()
    with stores() as (env, dynamodb, valkey):
        measure(env, dynamodb, valkey, cores[0] if pinned else None)
    print(machine.sentence(conditions.so_far()))


def measure(env: dict[str, str], dynamodb: Part, valkey: Part, core: int | None) -> None:
    token = server_token(env)
    with server(env, core) as web:
        took = asyncio.run(latencies(web.port, Writer(web.port, token)))
        cuts = quantiles(took, n=100)
        print(
            f"POST to the last of {SOCKETS} sockets: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms", flush=True
        )
        with open_sockets(web.port):
            rate, cost = throughput(web, token)
        print(f"{WRITERS} writers: {rate:.0f} updates/s, {cost:.2f} ms server CPU per update", flush=True)
    proxy, monitor = DynamoDBProxy(dynamodb.port), RedisMonitor(valkey.url)
    with server({**env, "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}, core) as web:
        writer = Writer(web.port, token)
        kinds: dict[str, Callable[[int], str]] = {
            "known player": lambda number: "leader",
            "new player": lambda number: f"new-{number}-{uuid.uuid4()}",
        }
        for kind, player in kinds.items():
            asked = per_update(
                {"DynamoDB": proxy.calls, "Redis": monitor.calls}, partial(add_many, writer, player)
            )
            for store, calls in asked.items():
                print(f"{store} round trips per update, {kind}: {shown(calls)}", flush=True)


def add_many(writer: Writer, player: Callable[[int], str]) -> None:
    for number in range(COUNTED_UPDATES):
        writer.add(player(number))


if __name__ == "__main__":
    main()

"""Fan-out against its rivals: `python -m tools.benchmarks.fanout` (or `make bench-fanout`).

The server runs on one core and the load client (load_client.c) on another. For each number of sockets
there are rounds, and in each round every server has its turn, so that whatever else the machine does
falls on all alike. Each server opens the sockets, idles, sends a board every quarter of a second (time
to the last viewer) and then boards back to back (throughput). Figures and versions go to
docs/figures/fanout.json, from which `--report` makes the tables and the plot.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from realtime.server.open_files import raise_file_limit
from tools.benchmarks.fanout.report import RESULTS, report
from tools.benchmarks.programs import BUILD, SERVER_CORE, Program, build, load_client
from tools.devstack.install.files import ROOT
from tools.devstack.processes.ports import answers, free_port
from tools.devstack.processes.stores import start_dynamodb, start_valkey
from tools.reporting import machine

#: A server opens so many sockets before its memory is looked at: what it grows by only once is no socket's.
FIRST = 200
SETTLE_S = 1.5

SERVERS: dict[str, list[str]] = {
    "ours": [sys.executable, "-m", "tools.benchmarks.servers.ours", "PORT"],
    "plain daphne": [sys.executable, "-m", "tools.benchmarks.servers.ours", "PORT", "plain"],
    "group per socket": [sys.executable, "-m", "tools.benchmarks.servers.group_per_socket", "PORT"],
    "ws": ["node", str(BUILD / "ws.js"), "PORT"],
    "socket.io": ["node", str(BUILD / "socketio.js"), "PORT"],
    "asyncio loop": [sys.executable, "-m", "tools.benchmarks.servers.asyncio_loop", "PORT"],
    "C loop": [str(BUILD / "c_loop"), "PORT"],
}
ITSELF = [sys.executable, "-m", "tools.benchmarks.servers.ours_next_to_loop", "PORT"]


@contextlib.contextmanager
def stores() -> Iterator[None]:
    """Our own server wants them; the others do not use them."""
    dynamodb, valkey = start_dynamodb(None), start_valkey(None)
    os.environ |= {
        "DEBUG": "true",
        "DATA_DIR": str(BUILD / "data"),
        "DYNAMODB_ENDPOINT_URL": dynamodb.url,
        "REDIS_URL": valkey.url,
    }
    try:
        subprocess.run(
            [sys.executable, "manage.py", "create_tables"], cwd=ROOT, check=True, capture_output=True
        )
        yield
    finally:
        valkey.stop()
        dynamodb.stop()


class Pair:
    """A server and its load client, for as long as they are compared with others."""

    def __init__(self, name: str, sockets: int, command: list[str] | None = None) -> None:
        self.name = name
        self.sockets = sockets
        self.port = free_port()
        self.server = Program(
            SERVER_CORE, [part.replace("PORT", str(self.port)) for part in command or SERVERS[name]]
        )
        while not answers(self.port):
            time.sleep(0.05)
        time.sleep(2.0)

    def connect(self) -> dict[str, Any]:
        path = "/socket.io/?EIO=4&transport=websocket" if self.name == "socket.io" else "/ws/scoreboard"
        first = min(FIRST, self.sockets // 2)
        rest = self.sockets - first
        engine_io = self.name == "socket.io"
        self.client, _ = load_client(self.port, f"{first}+{rest}", path=path, engine_io=engine_io)
        time.sleep(SETTLE_S)
        resident, cpu = self.server.resident_kib(), self.server.cpu_s()
        opened = json.loads(self.client.ask())
        if opened["sockets"] != self.sockets:
            raise RuntimeError(f"{self.name}: only {opened['sockets']} of {self.sockets} sockets opened")
        cpu = self.server.cpu_s() - cpu
        time.sleep(SETTLE_S)
        return {
            "opened_per_s": rest / opened["seconds"],
            "opened_per_cpu_s": rest / cpu,
            "kib_per_socket": (self.server.resident_kib() - resident) / rest,
        }

    def pace(self, seconds: float) -> dict[str, Any]:
        """A board every quarter of a second: when has the last viewer got it (µs)?"""
        self.client.ask()
        self.server.ask(f"run {seconds} 250")
        time.sleep(0.3)
        return {"last_us": json.loads(self.client.ask())["last_us"]}

    def saturate(self, seconds: float) -> dict[str, Any]:
        """Boards back to back."""
        self.client.ask()
        cpu, began = self.server.cpu_s(), time.monotonic()
        self.server.ask(f"run {seconds} 0")
        took = time.monotonic() - began
        cpu = self.server.cpu_s() - cpu
        time.sleep(0.1)
        busy = json.loads(self.client.ask())
        return {
            "deliveries_per_s": busy["deliveries"] / took,
            "deliveries_per_cpu_s": busy["deliveries"] / cpu,
            "client_busy": busy["cpu_s"] / took,
            "older": busy["older"],
            "lost": busy["lost"],
        }

    def stop(self) -> None:
        self.client.stop()
        self.server.stop()


def versions() -> str:
    python = ("Django", "channels", "channels-redis", "daphne", "Twisted", "autobahn")
    return machine.versions(BUILD, ("ws", "socket.io"), python)


def compare(names: list[str], sockets: int, rounds: int) -> Iterator[dict[str, Any]]:
    """All servers at the same time, each busy in its turns only; one result for each server and turn."""
    with contextlib.ExitStack() as stack:
        pairs = []
        for name in names:
            pairs.append(Pair(name, sockets))
            stack.callback(pairs[-1].stop)
            yield {"server": name, "sockets": sockets, "versions": versions()} | pairs[-1].connect()
        for _ in range(rounds):
            for pair in pairs:
                slow = 4 if pair.name == "group per socket" else 1
                measured = pair.pace(1.5 * slow) | pair.saturate(1.5 * slow)
                yield {"server": pair.name, "sockets": sockets} | measured


def save(results: list[dict[str, Any]]) -> None:
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(result) for result in results) + "\n]\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        "python3 -m tools bench-fanout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sockets", type=int, nargs="+", default=[500, 2000, 5000])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--report", action="store_true", help="only write the report again")
    options = parser.parse_args()
    if not options.report:
        build()
        raise_file_limit()
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
        kept = [r for r in kept if r["sockets"] not in options.sockets]
        with stores():
            for sockets in options.sockets:
                conditions = machine.Conditions()
                for result in compare(options.servers, sockets, options.rounds):
                    print(".", end="", flush=True)
                    kept.append(result)
                    save(kept)
                kept[-1]["conditions"] = conditions.so_far()
                save(kept)
    report()


if __name__ == "__main__":
    main()

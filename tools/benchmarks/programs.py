"""Builds the load client and the other servers of the benchmarks, and runs each program on one core."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tools.benchmarks.counting import cpu_s
from tools.devstack.install.files import ROOT

HERE = Path(__file__).parent
SERVERS = HERE / "servers"
BUILD = ROOT / ".cache" / "benchmarks"
SERVER_CORE, CLIENT_CORE = "0", "1"
#: A program is killed after this time (s), so that none outlives a benchmark that failed.
LIFE_S = 900.0


def build() -> None:
    """Compile the C programs and install the Node packages."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for source in (HERE / "fanout" / "load_client.c", SERVERS / "c_loop.c"):
        subprocess.run(["gcc", "-O2", "-o", BUILD / source.stem, source], check=True)
    for file in (*SERVERS.glob("*js"), SERVERS / "package.json"):
        shutil.copy(file, BUILD)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=BUILD, check=True)


class Program:
    """A program on one core that answers a line on its standard input with a line."""

    def __init__(self, core: str, command: list[str]) -> None:
        self._process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._alarm = threading.Timer(LIFE_S, self._process.kill)
        self._alarm.start()

    def ask(self, line: str = "") -> str:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        return cpu_s(self._process.pid)

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def stop(self) -> None:
        self._alarm.cancel()
        self._process.kill()
        self._process.communicate()


def load_client(
    port: int,
    sockets: int | str,
    *,
    path: str = "/ws/scoreboard",
    concurrency: int = 200,
    engine_io: bool = False,
) -> tuple[Program, dict[str, Any]]:
    """A client that opens `sockets` sockets, and its report. `"200+300"`: the second part on request."""
    command = [str(BUILD / "load_client"), "127.0.0.1", str(port), path, str(sockets), str(concurrency)]
    client = Program(CLIENT_CORE, [*command, *(["engine.io"] if engine_io else [])])
    return client, json.loads(client.answer())


def audience(port: int, sockets: int, *, path: str = "/ws/scoreboard", engine_io: bool = False) -> Program:
    """A load client with all its sockets open. RuntimeError when some of them fail in three tries."""
    for _ in range(3):
        client, report = load_client(port, sockets, path=path, engine_io=engine_io)
        if report["sockets"] == sockets:
            return client
        client.stop()
        print(f"… only {report['sockets']} of {sockets} sockets opened", flush=True)
        time.sleep(5)  # the server still has to close the sockets of the client that was stopped
    raise RuntimeError(f"port {port}: never all of {sockets} sockets opened")

"""Observes processes, players in the table, and the board over HTTP during a scenario."""

from __future__ import annotations

import dataclasses
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from tools.devstack.processes.part import Part
from tools.faults.checks.truth import Away, Tables

#: Times are of time.monotonic (s).

#: Between looks at our own clock (s).
TICK_S = 0.01
#: A board that is older by its own words (s) promises nothing.
FRESH_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Resources:
    """The resources of one process."""

    at: float
    name: str
    pid: int
    memory_mib: float
    threads: int
    files: int


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A consistent read of one player; began before `ended`."""

    began: float
    ended: float
    player: str
    score: int
    version: int


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """One GET and its answer; status 0: none."""

    began: float
    ended: float
    server: str
    path: str
    status: int
    retry_after: str | None = None
    #: Players on the board that was shown, unless it says of itself that it is old.
    shown: frozenset[str] = frozenset()


class Repeated:
    """Does something every `every_s` seconds in a thread, until it is stopped."""

    def __init__(self, every_s: float, work: Callable[[], None]) -> None:
        self._every_s = every_s
        self._work = work
        #: By how much (s) it woke up late, at most.
        self.late_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(15)

    def _run(self) -> None:
        while True:
            due = time.monotonic() + self._every_s
            if self._stopping.wait(self._every_s):
                return
            self.late_s = max(self.late_s, time.monotonic() - due)
            self._work()


def resources(part: Part) -> Resources | None:
    """The resources of the part's process now (Linux); None when it does not run."""
    if not part.running:
        return None
    process = Path("/proc", str(part.pid))
    try:
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        files = len(list((process / "fd").iterdir()))
        memory_mib = int(status["VmRSS"].split()[0]) / 1024
    except (OSError, KeyError, ValueError):  # it has just ended
        return None
    return Resources(time.monotonic(), part.name, part.pid, memory_mib, int(status["Threads"]), files)


class Watch:
    """Samples the servers' resources, reads players, and asks each server for the board."""

    def __init__(
        self, servers: Sequence[Part], tables: Tables, players: Sequence[str], *, every_s: float = 0.25
    ) -> None:
        self.resources: list[Resources] = []
        self.reads: list[Read] = []
        self.probes: list[Probe] = []
        self._servers = servers
        self._tables = tables
        self._players = players
        self._dice = random.Random(0)
        self._clock = Repeated(TICK_S, lambda: None)
        self._work = [self._clock, Repeated(2 * every_s, self._sample), Repeated(every_s, self._read)]
        self._work += [Repeated(every_s, lambda part=part: self._probe(part)) for part in servers]  # type: ignore[misc]

    def stop(self) -> None:
        for each in self._work:
            each.stop()

    @property
    def late_s(self) -> float:
        """By how much (s) our own clock was late, at most: what the machine adds to all times."""
        return self._clock.late_s

    def _sample(self) -> None:
        self.resources += filter(None, map(resources, self._servers))

    def _read(self) -> None:
        began = time.monotonic()
        user_id = self._dice.choice(self._players)
        try:
            found = self._tables.player(user_id)
        except Away:
            return
        if found:
            self.reads.append(Read(began, time.monotonic(), user_id, found.score, found.version))

    def _probe(self, part: Part) -> None:
        for path in ("/score/top10", "/livez"):
            self.probes.append(probe(part, path))


def probe(part: Part, path: str, timeout_s: float = 10.0) -> Probe:
    """One GET on a connection of its own."""
    shown: frozenset[str] = frozenset()
    connection = http.client.HTTPConnection("127.0.0.1", part.port, timeout=timeout_s)
    began = time.monotonic()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        status, retry_after = response.status, response.getheader("Retry-After")
        as_of = response.getheader("Board-As-Of")
        if status == 200 and as_of and time.time() - datetime.fromisoformat(as_of).timestamp() < FRESH_S:
            shown = frozenset(row["userId"] for row in json.loads(body))
    except (OSError, http.client.HTTPException):
        status, retry_after = 0, None
    finally:
        connection.close()
    return Probe(began, time.monotonic(), part.name, path, status, retry_after, shown)

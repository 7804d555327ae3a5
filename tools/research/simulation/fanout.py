"""A model of the processes that bring boards to viewers, of Redis between them, and of what leaves the site.

Event by event: a change of the visible ten is published; Redis hands the poke to every process; each
process reads the board from Redis, one call at a time, and writes it to its viewers. A process reads at
most every MIN_INTERVAL_S, and once a second anyway. What a write and a call cost is measured (`Costs`);
the network is a constant.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from realtime.hub.audience import Frame
from realtime.hub.hub import ALIVE_S, MIN_INTERVAL_S, POLL_S, _encode
from scores.rules.boards import Board, Row

#: One way between two machines of a region (s).
HOP_S = 0.0005
#: Share of its processor that a process is planned to use for boards.
PLANNED_SHARE = 0.6
#: TCP/IP headers with timestamps, and a TLS record's frame (bytes).
HEADERS, TLS = 52, 22


@dataclass(frozen=True)
class Costs:
    """Processor time (s): of a process for one delivery, of Redis for reading the board, and for passing a
    poke on to one process."""

    delivery_s: float
    board_s: float
    poke_s: float


@dataclass(frozen=True)
class Tier:
    """The result for a number of viewers. Latencies (ms) are from the change to the last viewer of all."""

    processes: int
    boards_per_s: float  # of each process
    redis_messages_per_s: float
    redis_busy: float  # share of Redis' one thread
    egress_bytes_per_s: float
    p50_ms: float
    p99_ms: float


def planned_processes(viewers: int, boards_per_s: float, delivery_s: float, max_sockets: int) -> int:
    """Processes with a vCPU each that `viewers` need."""
    work = viewers * boards_per_s * delivery_s / PLANNED_SHARE
    return max(1, math.ceil(viewers / max_sockets), math.ceil(work))


def board_bytes() -> int:
    """Length of a board on the wire: ten rows with Cognito's ids and names of usual length."""
    rows = tuple(Row(n, f"{n:08x}-5717-4562-b3fc-2c963f66afa6", "Twelve chars", 98_765) for n in range(1, 11))
    now = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    board = Board(rows, now * 1000, now)
    return len(Frame(now * 1000, _encode({"type": "board"} | board.to_dict())).wire)


def simulate(
    viewers: int,
    changes_per_s: float,
    costs: Costs,
    *,
    max_sockets: int = 15_000,
    seconds: float = 20.0,
    seed: int = 1,
) -> Tier:
    """Some seconds of changes that come at random moments, `changes_per_s` on average."""
    boards_per_s = min(changes_per_s, 1 / MIN_INTERVAL_S)
    processes = planned_processes(viewers, boards_per_s, costs.delivery_s, max_sockets)
    return _Run(viewers, processes, costs, changes_per_s, seconds, seed).tier()


class _Run:
    def __init__(
        self, viewers: int, processes: int, costs: Costs, changes_per_s: float, seconds: float, seed: int
    ) -> None:
        self.viewers, self.processes, self.costs, self.seconds = viewers, processes, costs, seconds
        self.sending_s = viewers / processes * costs.delivery_s
        self.redis_free, self.redis_used_s, self.messages, self.boards = 0.0, 0.0, 0, 0
        self.changes: list[float] = []
        self.seen = [0] * processes  # changes that the process has shown
        self.next_read = [0.0] * processes  # the earliest
        self.reading = [False] * processes  # a read is due or under way
        self.waiting: list[int] = []  # for each change: processes that have not shown it
        self.last: list[float] = []
        self._events: list[tuple[float, int, str, int]] = []
        self._number = 0
        dice = random.Random(seed)
        moment = dice.expovariate(changes_per_s)
        while moment < seconds:
            self._at(moment, "change", 0)
            moment += dice.expovariate(changes_per_s)
        for process in range(processes):
            self._at(dice.random() * POLL_S, "poll", process)

    def _at(self, moment: float, kind: str, process: int) -> None:
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, kind, process))

    def tier(self) -> Tier:
        while self._events:
            moment, _, kind, process = heapq.heappop(self._events)
            getattr(self, f"_{kind}")(moment, process)
        # Changes of the last second may still be on their way.
        took = sorted((last - at) * 1000 for at, last in zip(self.changes, self.last, strict=True))
        cuts = quantiles(took, n=100) if len(took) > 1 else took * 99
        boards = self.boards / self.seconds / self.processes
        per_viewer = boards * (board_bytes() + HEADERS + TLS) + (90 + HEADERS + TLS) / ALIVE_S
        return Tier(
            self.processes,
            boards,
            self.messages / self.seconds,
            self.redis_used_s / self.seconds,
            self.viewers * per_viewer,
            cuts[49],
            cuts[98],
        )

    def _redis(self, moment: float, cost: float, messages: int) -> float:
        """When Redis has done this, one thing after the other."""
        self.redis_free = max(self.redis_free, moment) + cost
        if moment < self.seconds:
            self.redis_used_s += cost
            self.messages += messages
        return self.redis_free

    def _change(self, moment: float, _: int) -> None:
        self.changes.append(moment)
        self.waiting.append(self.processes)
        self.last.append(moment)
        begun = max(self.redis_free, moment + HOP_S)
        self._redis(moment + HOP_S, self.costs.poke_s * self.processes, self.processes)
        for process in range(self.processes):
            self._at(begun + self.costs.poke_s * (process + 1) + HOP_S, "poke", process)

    def _poke(self, moment: float, process: int) -> None:
        if not self.reading[process]:
            self.reading[process] = True
            self._at(max(moment, self.next_read[process]), "read", process)

    def _poll(self, moment: float, process: int) -> None:
        if moment + POLL_S < self.seconds:
            self._at(moment + POLL_S, "poll", process)
        if moment >= self.next_read[process] + POLL_S - MIN_INTERVAL_S:
            self._poke(moment, process)

    def _read(self, moment: float, process: int) -> None:
        done = self._redis(moment + HOP_S, self.costs.board_s, 1)
        self.next_read[process] = moment + MIN_INTERVAL_S
        self._at(done, "board", process)

    def _board(self, moment: float, process: int) -> None:
        """Redis has answered with all changes up to now."""
        self.reading[process] = False
        shown = len(self.changes)
        if shown == self.seen[process]:
            return
        sent = moment + HOP_S + self.sending_s
        self.boards += moment < self.seconds
        for change in range(self.seen[process], shown):
            self.waiting[change] -= 1
            self.last[change] = max(self.last[change], sent + HOP_S)
        self.seen[process] = shown
        self.next_read[process] = max(self.next_read[process], sent)


def measured_delivery_s(results: list[dict[str, Any]], server: str, sockets: int) -> float:
    """The median processor time (s) of one delivery in the fan-out benchmark's results."""
    rates: list[float] = sorted(
        r["deliveries_per_cpu_s"]
        for r in results
        if r["server"] == server and r["sockets"] == sockets and "deliveries_per_cpu_s" in r
    )
    return 1 / rates[len(rates) // 2]

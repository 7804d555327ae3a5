"""Three faults that each of the compared servers has to survive.

- F5: DynamoDB's reply to every second write is cut off.
- F6: Redis is killed for ten seconds and comes back empty.
- F12: the server is killed in the middle of updates; the client tries again with the same key.

Every update is for a player of its own, so that a loss and a double cannot make each other unseen, and is
repeated with the same `Idempotency-Key` until it is answered with 200. The table is read afterwards.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.devstack.processes.part import Part
from tools.devstack.processes.stores import start_dynamodb, start_valkey
from tools.faults.proxies.http import CUT, HttpProxy, every_second_write
from tools.faults.traffic.journal import Attempt
from tools.faults.traffic.writers import HttpSender
from tools.reporting import pages
from tools.research.rivals.contenders import CONTENDERS, Contender, environment, running, scores, token
from tools.research.rivals.watchers import LEADER, watching

WRITERS = 8
INCREMENT = 7
#: An update that is not settled after this time (s) is given up.
PATIENCE_S = 60.0
#: Far above what a player of a single update has.
LEADER_START = 1_000_000


@dataclass
class Count:
    """Numbers of updates: sent, answered with 200, lost, and counted more than once."""

    sent: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    requests: int = 0
    refused: int = 0  # requests that were not answered with 200
    slowest_s: float = 0.0  # answer with 200

    def settle(self, stored: dict[str, int], attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self.sent += 1
            self.acknowledged += attempt.acknowledged
            self.lost += attempt.acknowledged and attempt.player not in stored
            self.doubled += stored.get(attempt.player, 0) > INCREMENT
            self.requests += len(attempt.replies)
            self.refused += sum(not reply.accepted for reply in attempt.replies)
            took = (reply.ended - reply.began for reply in attempt.replies if reply.accepted)
            self.slowest_s = max(self.slowest_s, max(took, default=0.0))


@dataclass
class Result:
    """One server under one fault. Only where pages look on: `late_s`, the longest (s) from an answer to the
    last page that shows it (None: never), and whether all pages were `right_at_the_end`."""

    server: str
    fault: str
    count: Count = field(default_factory=Count)
    late_s: float | None = None
    right_at_the_end: bool | None = None


@dataclass
class Stage:
    """One server and its stores."""

    contender: Contender
    data: Path
    env: dict[str, str]
    token: str
    dynamodb: Part
    valkey: Part

    def server(self, **environment: str) -> contextlib.AbstractContextManager[Part]:
        return running(self.contender, self.env | environment, self.data / "servers.log")

    def stored(self) -> dict[str, int]:
        return scores(self.dynamodb.url, self.contender)


class Crowd:
    """Writers that go on until they are told to stop, and then settle what they have begun."""

    def __init__(
        self, port: int, key: str, prefix: str, writers: int = WRITERS, pause_s: float = 0.0
    ) -> None:
        self.attempts: list[Attempt] = []
        self._numbers = itertools.count()
        self._prefix, self._pause_s = prefix, pause_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(HttpSender([port], key),)) for _ in range(writers)
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _write(self, sender: HttpSender) -> None:
        while not self._stopping.is_set():
            name = f"{self._prefix}-{next(self._numbers)}"
            attempt = Attempt(f"key-{name}", name, INCREMENT, time.monotonic())
            self.attempts.append(attempt)
            settle(sender, attempt)
            time.sleep(self._pause_s)
        sender.close()


def settle(sender: HttpSender, attempt: Attempt) -> None:
    """As a good client: the same key again until the answer is 200, or patience ends."""
    while time.monotonic() < attempt.at + PATIENCE_S:
        reply = sender(attempt)
        attempt.replies.append(reply)
        if reply.accepted:
            return
        time.sleep(random.uniform(0.05, 0.3))


# --- The faults -------------------------------------------------------------------------------------


def cut_replies(stage: Stage, seconds: float) -> Result:
    """F5."""
    result = Result(stage.contender.name, "F5")
    proxy = HttpProxy(stage.dynamodb.port)
    try:
        with stage.server(DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}") as part:
            proxy.faults = every_second_write(CUT)
            with Crowd(part.port, stage.token, "f5") as crowd:
                time.sleep(seconds)
            proxy.restore()
            result.count.settle(stage.stored(), crowd.attempts)
    finally:
        proxy.close()
    return result


def kill_server(stage: Stage, kills: int) -> Result:
    """F12. DynamoDB takes a tenth of a second, so that a killed server has updates under way."""
    result = Result(stage.contender.name, "F12")
    proxy = HttpProxy(stage.dynamodb.port)
    try:
        with stage.server(DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}") as part:
            proxy.delay(0.1)
            with Crowd(part.port, stage.token, "f12") as crowd:
                for _ in range(kills):
                    time.sleep(random.uniform(0.7, 1.3))
                    part.kill()
                    part.start()
                    part.wait_ready()
                time.sleep(1)
            result.count.settle(stage.stored(), crowd.attempts)
    finally:
        proxy.close()
    return result


def kill_redis(stage: Stage, before_s: float, away_s: float, after_s: float) -> Result:
    """F6, with pages that look on."""
    result = Result(stage.contender.name, "F6")
    with stage.server() as part, watching(stage.contender, part.port) as watchers:
        sender = HttpSender([part.port], stage.token)
        first = Attempt("leader-0", LEADER, LEADER_START, time.monotonic())
        settle(sender, first)
        base = first.replies[-1].new_score or 0
        shown: list[tuple[float, int]] = []  # (when it was answered, score)
        over = threading.Event()

        def lead() -> None:
            for number in itertools.count(1):
                if over.is_set():
                    return
                attempt = Attempt(f"leader-{number}", LEADER, 1, time.monotonic())
                settle(sender, attempt)
                shown.append((time.monotonic(), base + number))
                time.sleep(0.1)

        leading = threading.Thread(target=lead)
        leading.start()
        with Crowd(part.port, stage.token, "f6", writers=2, pause_s=0.1) as crowd:
            time.sleep(before_s)
            stage.valkey.kill()
            time.sleep(away_s)
            stage.valkey.start()
            stage.valkey.wait_ready()
            time.sleep(after_s)
            over.set()
            leading.join()
        sender.close()
        time.sleep(2)
        stored = stage.stored()
        result.count.settle(stored, crowd.attempts)
        latest = max(watcher.latest(shown) for watcher in watchers)
        result.late_s = latest if latest < math.inf else None
        top = sorted(stored.values(), reverse=True)[:10]
        result.right_at_the_end = all(watcher.scores == top for watcher in watchers)
    return result


def run(folder: Path, *, quick: bool) -> Iterator[Result]:
    """All faults for all servers, one after the other."""
    faults: list[Callable[[Stage], Result]] = [
        lambda stage: cut_replies(stage, 2.0 if quick else 5.0),
        lambda stage: kill_redis(stage, 2.0, 4.0 if quick else 10.0, 4.0 if quick else 8.0),
        lambda stage: kill_server(stage, 2 if quick else 5),
    ]
    for contender in CONTENDERS:
        data = folder / contender.table
        dynamodb, valkey = start_dynamodb(None), start_valkey(None)
        try:
            env = environment(data, dynamodb.url, valkey.url)
            stage = Stage(contender, data, env, token(env), dynamodb, valkey)
            for fault in faults:
                result = fault(stage)
                count = result.count
                print(
                    f"… {result.fault}, {result.server}: {count.acknowledged} of {count.sent} acknowledged, "
                    f"{count.lost} lost, {count.doubled} counted more than once",
                    flush=True,
                )
                yield result
        finally:
            valkey.stop()
            dynamodb.stop()


def report(results: Iterable[Result]) -> str:
    head = ["fault, server", "updates", "acknowledged", "lost", "counted more than once", "requests not 200"]
    head += ["slowest answer (s)", "longest until on all pages (s)", "pages right at the end"]
    rows = []
    order = [contender.name for contender in CONTENDERS]
    for result in sorted(results, key=lambda result: (int(result.fault[1:]), order.index(result.server))):
        count = result.count
        watched = result.right_at_the_end is not None
        late = "never" if watched and result.late_s is None else f"{result.late_s:.1f}" if watched else ""
        right = {None: "", True: "yes", False: "no"}[result.right_at_the_end]
        rows.append(
            [
                f"{result.fault}, {result.server}",
                *(str(n) for n in (count.sent, count.acknowledged, count.lost, count.doubled)),
                f"{count.refused / max(1, count.requests):.0%}",
                f"{count.slowest_s:.1f}",
                late,
                right,
            ]
        )
    return pages.table(head, rows)

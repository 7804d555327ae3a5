"""Writers that never give up an update: the same key again, with full jitter, until it is settled."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tools.faults.traffic.journal import Attempt, Journal, Reply

#: Sends one update; a Reply whatever happens (status 0: no answer).
Send = Callable[[Attempt], Reply]
#: Chooses the next update: (player, increment).
Choose = Callable[[random.Random], tuple[str, int]]

BACKOFF_FIRST_S = 0.1
BACKOFF_CAP_S = 2.0
#: An update is sent this much (s) later than it was due, at most.
BEHIND_S = 1.0


class HttpSender:
    """Sends updates to one of several servers over a connection that is kept; after a failure, to another.

    For one thread. `path` and `body` are those of the scoreboard's API unless given.
    """

    def __init__(
        self,
        ports: Sequence[int],
        token: str = "",
        *,
        path: str = "/score/update",
        timeout_s: float = 10.0,
        start: int = 0,
    ) -> None:
        self._ports = ports
        self._turn = start
        self._path = path
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection: http.client.HTTPConnection | None = None

    @property
    def port(self) -> int:
        return self._ports[self._turn % len(self._ports)]

    def switch(self) -> None:
        """Go to the next server."""
        self.close()
        self._turn += 1

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def __call__(self, attempt: Attempt) -> Reply:
        began, server = time.monotonic(), str(self.port)
        body = json.dumps({"userId": attempt.player, "increment": attempt.increment})
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._timeout_s)
            self._connection.request(
                "POST", self._path, body, self._headers | {"Idempotency-Key": attempt.key}
            )
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.switch()
            return Reply(0, began=began, ended=time.monotonic(), server=server)
        answer = _json(text)
        retry_after = response.getheader("Retry-After")
        reply = Reply(
            response.status,
            answer.get("newScore"),
            int(retry_after) if retry_after and retry_after.isdigit() else None,
            began,
            time.monotonic(),
            server,
            str(answer.get("code", "")),
        )
        if response.getheader("Connection", "").lower() == "close":
            self.switch()
        elif not reply.settled:
            self._turn += 1  # another process may be better off
            self.close()
        return reply


def _json(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Writers:
    """Threads that write at the `pace` (updates per second of all of them; 0: as fast as it goes).

    Updates fall due at random times, whatever became of those before. Who is due and finds all threads
    waiting for an answer comes up to BEHIND_S late, or is left out.

    `make_send` makes each thread its own Send. They come one by one, within `arriving_s` (s). `again` is the
    share of settled updates that are sent once more, as a client does whose answer was lost.
    """

    def __init__(
        self,
        make_send: Callable[[int], Send],
        journal: Journal,
        choose: Choose,
        *,
        threads: int = 8,
        pace: float = 0.0,
        arriving_s: float = 0.0,
        again: float = 0.05,
        seed: int = 0,
        name: str = "k",
    ) -> None:
        self.journal = journal
        self._choose = choose
        self._again = again
        self._pace = pace
        self._due = 0.0
        self._due_lock = threading.Lock()
        self._arriving_s = arriving_s
        self._numbers = itertools.count()
        self._name = name
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(make_send(n), random.Random(f"{seed}-{n}")), daemon=True)
            for n in range(threads)
        ]

    def start(self) -> Writers:
        self._due = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, settle_s: float = 30.0) -> None:
        """Begin no more updates; wait until those under way are settled, for `settle_s` (s) at most."""
        self._stopping.set()
        deadline = time.monotonic() + settle_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._giving_up.set()
        for thread in self._threads:
            thread.join(15)

    def _run(self, send: Send, dice: random.Random) -> None:
        self._stopping.wait(dice.uniform(0, self._arriving_s))
        while not self._stopping.wait(self._until_due_s(dice)):
            player, increment = self._choose(dice)
            attempt = Attempt(f"{self._name}-{next(self._numbers)}", player, increment, time.monotonic())
            self.journal.begin(attempt)
            self.settle(send, attempt, dice)
            if attempt.acknowledged and dice.random() < self._again:
                self.settle(send, attempt, dice)
        close = getattr(send, "close", None)
        if close:
            close()

    def _until_due_s(self, dice: random.Random) -> float:
        if not self._pace:
            return 0.0
        now = time.monotonic()
        with self._due_lock:
            self._due = max(self._due + dice.expovariate(self._pace), now - BEHIND_S)
            return max(0.0, self._due - now)

    def settle(self, send: Send, attempt: Attempt, dice: random.Random | None = None) -> None:
        """Send an update that is in the journal until it is settled."""
        dice = dice or random.Random(attempt.key)
        for failures in itertools.count():
            reply = send(attempt)
            self.journal.answered(attempt, reply)
            if reply.settled or self._giving_up.is_set():
                return
            wait_s = dice.uniform(0, min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2**failures))
            if reply.retry_after:
                wait_s = max(wait_s, reply.retry_after * dice.uniform(0.8, 1.2))
            self._giving_up.wait(wait_s)


class Increments:
    """Increments that are distinct for each player, so that a wrong sum names the update.

    Players are drawn from `players` with weights that fall off, as in real communities.
    """

    def __init__(self, players: Sequence[str], first: int = 1) -> None:
        self._players = players
        self._weights = list(itertools.accumulate(1 / (n + 3) for n in range(len(players))))
        self._first = first
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, dice: random.Random) -> tuple[str, int]:
        player = dice.choices(self._players, cum_weights=self._weights)[0]
        with self._lock:
            self._used[player] = number = self._used.get(player, self._first - 1) + 1
        return player, number

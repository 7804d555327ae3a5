"""Players and viewers for locust; started by tools/benchmarks/load/__main__.py, in an environment of its own.

- A player plays as people do: now and then a few actions in a row, then a pause. An update that is not
  settled (no answer, 429, 503) is sent again with the same key, after Retry-After and with jitter. After
  some of them the player looks at the own standing.
- A visitor asks for the Top 10 over HTTP, with the ETag of the last answer.
- A viewer opens the page's WebSocket and stays for a while. It reports how old each board was, and fails
  when a revision goes back, or nothing, not even a sign of life, comes for too long.

LOAD_TOKENS names a file with [user id, token] pairs, LOAD_SHARES how many of each kind there are. At the end,
the points that were acknowledged are compared with the scores that the server has.
"""

import itertools
import json
import os
import random
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket
from locust import FastHttpUser, User, between, events, task

TOKENS = itertools.cycle(json.loads(Path(os.environ["LOAD_TOKENS"]).read_text()))
SHARES = json.loads(os.environ["LOAD_SHARES"])
UNSETTLED = {0, 429, 503}
#: A viewer hears something at least every 15 s.
SILENCE_S = 20.0

#: Points by player: acknowledged, and sent in updates whose end is not known (yet).
acknowledged: Counter[str] = Counter()
unknown: Counter[str] = Counter()
tokens: dict[str, str] = {}
before: dict[str, int] = {}


class Player(FastHttpUser):
    """Raises the own score."""

    fixed_count = SHARES["players"]
    wait_time = between(1, 9)

    def on_start(self) -> None:
        self.user_id, token = next(TOKENS)
        tokens[self.user_id] = token
        self.authorization = {"Authorization": f"Bearer {token}"}
        with self.client.get("/score/me", headers=self.authorization, name="GET /score/me") as answer:
            before.setdefault(self.user_id, answer.json()["score"] if answer.status_code == 200 else 0)

    @task
    def play(self) -> None:
        for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
            self._score(random.choice((1, 2, 5, 5, 10, 10, 25, 100)))
            gevent.sleep(random.uniform(0.2, 1.0))
        if random.random() < 0.2:
            self.client.get("/score/me", headers=self.authorization, name="GET /score/me")

    def _score(self, increment: int) -> None:
        key = str(uuid.uuid4())
        body = {"userId": self.user_id, "increment": increment}
        unknown[self.user_id] += increment  # the run may end before the answer is here
        for attempt in range(8):
            with self.client.post(
                "/score/update",
                json=body,
                headers=self.authorization | {"Idempotency-Key": key},
                name="POST /score/update",
                catch_response=True,
            ) as answer:
                if answer.status_code == 200:
                    acknowledged[self.user_id] += increment
                if answer.status_code not in UNSETTLED:
                    unknown[self.user_id] -= increment
                    return
                answer.failure(f"status {answer.status_code}")
                wait_s = float((answer.headers or {}).get("Retry-After", 0))
            gevent.sleep(wait_s + random.uniform(0, min(5.0, 0.1 * 2**attempt)))


class Visitor(FastHttpUser):
    """Asks for the board over HTTP."""

    fixed_count = SHARES["visitors"]
    wait_time = between(1, 3)
    etag = ""

    @task
    def look(self) -> None:
        headers = {"If-None-Match": self.etag} if self.etag else {}
        answer = self.client.get("/score/top10", headers=headers, name="GET /score/top10")
        self.etag = (answer.headers or {}).get("ETag", self.etag)


class Viewer(User):
    """Looks at the page."""

    fixed_count = SHARES["viewers"]
    wait_time = between(0, 2)

    def on_start(self) -> None:
        address = urlsplit(self.host or "")
        scheme = "wss" if address.scheme == "https" else "ws"
        self.url = f"{scheme}://{address.netloc}/ws/scoreboard"

    @task
    def watch(self) -> None:
        """One visit: half a minute to some minutes."""
        leaves_at = time.monotonic() + random.uniform(30, 300)
        began = time.perf_counter()
        try:
            socket = websocket.create_connection(self.url, timeout=SILENCE_S)
        except (OSError, websocket.WebSocketException) as error:
            self._report("WS connect", began, error)
            gevent.sleep(random.uniform(0, 5))
            return
        self._report("WS connect", began)
        try:
            self._read(socket, leaves_at)
        except (OSError, websocket.WebSocketException) as error:
            self._report("WS board (age)", time.perf_counter(), error)
        finally:
            socket.close(timeout=1)

    def _read(self, socket: Any, leaves_at: float) -> None:
        revision = 0
        while time.monotonic() < leaves_at:
            text = socket.recv()
            if not text:
                raise websocket.WebSocketConnectionClosedException("closed by the server")
            message = json.loads(text)
            if message["revision"] < revision:
                raise websocket.WebSocketException("a revision went back")
            first, revision = not revision, message["revision"]
            if message["type"] == "board" and not first:
                age_s = time.time() - datetime.fromisoformat(message["asOf"]).replace(tzinfo=UTC).timestamp()
                self._report("WS board (age)", time.perf_counter() - age_s, length=len(text))

    def _report(self, name: str, began: float, error: Exception | None = None, length: int = 0) -> None:
        events.request.fire(
            request_type="WS",
            name=name,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=length,
            exception=error,
        )


@events.quitting.add_listener
def compare(environment: Any, **_: Any) -> None:
    """The scores that the server has, against the points that it has acknowledged."""
    import urllib.request

    wrong = 0
    for user_id, points in acknowledged.items():
        request = urllib.request.Request(
            f"{environment.host}/score/me", headers={"Authorization": f"Bearer {tokens[user_id]}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            gained = json.load(answer)["score"] - before[user_id]
        wrong += not points <= gained <= points + unknown[user_id]
    print(
        f"{len(acknowledged)} players, {acknowledged.total():,} points acknowledged, {unknown.total():,} of "
        f"unknown end: {wrong} players with a wrong score",
        flush=True,
    )
    if wrong:
        environment.process_exit_code = 1

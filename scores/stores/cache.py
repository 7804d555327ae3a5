"""Redis as a cache: one client, the script that writes the ranking, and a breaker.

Whatever is lost can be merged again from the table, late, repeated or out of order. So nothing here retries.
Every call is short, and after two unanswered calls in a row the breaker skips calls for a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scores import concurrency

logger = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT_S = 0.2
FAILURES_TO_OPEN = 2
OPEN_S = 1.0
#: A Redis that was lost may come back without recent merges, a ban for instance. For this time (s) its board
#: is not trusted; the reconciler compares it with the table meanwhile.
DOUBT_S = 3.0
_SCRIPT = (Path(__file__).parent / "ranking.lua").read_text()


class RankingUnavailable(Exception):
    """Redis did not answer, or the breaker skipped the call."""


class Breaker:
    """Skips calls for OPEN_S after FAILURES_TO_OPEN failures in a row, then lets one probe through.

    `in_doubt` for DOUBT_S after that, and after every lost connection, which may have been a failover.
    `repair_wanted` is set whenever Redis failed or came back: the reconciler has work before its next turn.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.repair_wanted = threading.Event()
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._opened_at = 0.0
        self._doubted_until = float("-inf")

    @property
    def in_doubt(self) -> bool:
        return self._clock() < self._doubted_until

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES_TO_OPEN

    @property
    def open_s(self) -> float:
        """How long (s) calls have been skipped; 0 while they are not."""
        return self._clock() - self._opened_at if self.is_open else 0.0

    def before(self) -> None:
        """Raises RankingUnavailable while calls are skipped."""
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return
            if self._clock() < self._retry_at:
                raise RankingUnavailable("skipped after failures")
            self._retry_at = self._clock() + OPEN_S  # this caller is the probe

    def succeeded(self) -> None:
        if not self._failures:
            return
        with self._lock:
            was_open = self._failures >= FAILURES_TO_OPEN
            self._failures = 0
            if was_open:
                self._doubted_until = self._clock() + DOUBT_S
        if was_open:
            logger.warning("the ranking answers again")
            self.repair_wanted.set()

    def failed(self, *, lost: bool = False) -> None:
        """`lost`: the connection broke, so the next one may lead to another Redis."""
        with self._lock:
            self._failures += 1
            self._retry_at = self._clock() + OPEN_S
            if lost:
                self._doubted_until = self._clock() + DOUBT_S
            if self._failures == FAILURES_TO_OPEN:
                self._opened_at = self._clock()
                logger.warning("the ranking does not answer; it is skipped until it does")
        self.repair_wanted.set()


class Cache:
    """Redis at `url`, behind a breaker of its own. Connects with the first call."""

    def __init__(self, url: str) -> None:
        self.breaker = Breaker()
        self.client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        #: ranking.lua, to be called with keys and args.
        self.script: Any = self.client.register_script(_SCRIPT)

    def close(self) -> None:
        """Close the client's connections."""
        self.client.close()

    def guarded(self, call: Callable[[], T]) -> T:
        """The result of `call`. Raises RankingUnavailable when Redis fails, or is being skipped."""
        self.breaker.before()
        try:
            with concurrency.blocking():
                result = call()
        except redis.RedisError as error:
            self.breaker.failed(lost=isinstance(error, redis.ConnectionError))
            raise RankingUnavailable(type(error).__name__) from error
        self.breaker.succeeded()
        return result

    def call(self, command: Callable[[redis.Redis], T]) -> T:
        """`guarded`, for one command of the client."""
        return self.guarded(lambda: command(self.client))

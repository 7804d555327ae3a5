"""Security events: who was refused what, and why, for who investigates later. Imports nothing of ours.

They go to the logger `scores.security`, never with a token, a ticket or an idempotency key in them. A
flood of refusals must not become a flood of log lines: per kind at most MAX_PER_S are written, and the
next one says how many were left out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("scores.security")

MAX_PER_S = 20


class Pace:
    """Counts the events of each kind in the current second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._second = 0
        self._written: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def admit(self, kind: str) -> int | None:
        """None: leave this one out. Else how many of its kind were left out before it."""
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second = second
                self._written.clear()
            written = self._written.get(kind, 0)
            if written >= MAX_PER_S:
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return None
            self._written[kind] = written + 1
            return self._left_out.pop(kind, 0)


_pace = Pace()


def refused(kind: str, **fields: str | int | None) -> None:
    """Write one event. `kind` is the code of the answer; fields that are None are left away."""
    left_out = _pace.admit(kind)
    if left_out is None:
        return
    known: dict[str, str | int] = {"event": kind}
    known |= {name: value for name, value in fields.items() if value is not None}
    if left_out:
        known["leftOut"] = left_out
    logger.warning("refused", extra={"fields": known})

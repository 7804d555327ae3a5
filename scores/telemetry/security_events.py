"""Security events: refused requests with the caller and the reason. Imports nothing of ours.

The logger `scores.security` gets them, without tokens, tickets or idempotency keys. A flood of refusals must
not become a flood of log lines, so at most MAX_PER_S events of a kind are written in a second. The next event
of that kind has the number of those left out.
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
        """How many events of this kind were left out before this one; None: leave it out as well."""
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
    """Write one event. `kind` is the code of the answer. Fields that are None are omitted."""
    left_out = _pace.admit(kind)
    if left_out is None:
        return
    known: dict[str, str | int] = {"event": kind}
    known |= {name: value for name, value in fields.items() if value is not None}
    if left_out:
        known["leftOut"] = left_out
    logger.warning("refused", extra={"fields": known})

"""A log filter for warnings that come again and again. Imports nothing of ours."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

#: The same warning is logged once in this time (s).
QUIET_S = 600.0
#: Different warnings that are remembered.
REMEMBERED = 100


class Repetition(logging.Filter):
    """Lets a warning through once in QUIET_S, and then says how often it was left out.

    For loops that try again every second for as long as something is wrong, such as a Redis user without
    the rights for channels. Two warnings are the same if they differ in numbers only.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        arguments = record.args if isinstance(record.args, tuple) else ()
        key = (record.name, str(record.msg), *(text for text in arguments if isinstance(text, str)))
        with self._lock:
            return self._admit(record, key)

    def _admit(self, record: logging.LogRecord, key: tuple[str, ...]) -> bool:
        now = self._clock()
        since, left_out = self._seen.get(key, (-QUIET_S, 0))
        if now - since < QUIET_S:
            self._seen[key] = since, left_out + 1
            return False
        self._seen[key] = now, 0
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} times since the last such line)"
        return True

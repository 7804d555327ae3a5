"""Turns at computing, so that the event loop never stands in line behind a crowd of threads.

CPython's lock (the GIL) goes to whichever thread is woken next, for up to 5 ms (sys.getswitchinterval). Next
to n threads with work to do the loop waits up to n times that before each thing it does, and with it every
refusal and every board. So of the threads that serve requests one computes at a time, first come, first
served; what waits for a store, a lock or a clock does so without a turn (`waiting`). That costs nothing: the
interpreter runs one thread at a time anyway.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

#: Who has stood in line for this long (s) goes on uncalled: somebody has a turn who should not. Longer than
#: it takes a full process to get through its line.
PATIENCE_S = 0.5


class Turns:
    """`at_once` threads have a turn at the same time. All methods may be called from any thread."""

    def __init__(self, at_once: int = 1) -> None:
        self._lock = threading.Lock()
        self._free = at_once  # below 0: so many too many are at it
        self._line: deque[threading.Lock] = deque()
        self._mine = threading.local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The block has a turn, but for what it does in `waiting`."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block only waits: meanwhile the turn is another thread's. Of no effect where there is none."""
        if not getattr(self._mine, "turn", False):
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        place = None
        with self._lock:
            if self._free > 0:
                self._free -= 1
            else:
                place = threading.Lock()
                place.acquire()
                self._line.append(place)
        if place is not None and not place.acquire(timeout=PATIENCE_S):
            with self._lock:
                if place in self._line:  # else it has been called in this moment
                    self._line.remove(place)
                    self._free -= 1
        self._mine.turn = True

    def _give(self) -> None:
        self._mine.turn = False
        with self._lock:
            if self._line and self._free >= 0:
                self._line.popleft().release()
            else:
                self._free += 1


_turns = Turns()
turn = _turns.turn
waiting = _turns.waiting


def acquire(lock: threading.Lock, timeout: float) -> bool:
    """Whether the lock could be acquired within `timeout` (s); waiting for it takes no turn."""
    if lock.acquire(blocking=False):
        return True
    with waiting():
        return lock.acquire(timeout=timeout)

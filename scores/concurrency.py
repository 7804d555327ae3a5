"""One request thread computes at a time, so that the event loop does not wait behind all of them.

CPython's lock (the GIL) goes to whichever thread wakes up next, for up to 5 ms (sys.getswitchinterval). Next
to n busy threads the event loop waits up to n times that before each step, and so does every refusal and
every board. So request threads compute one after the other, in the order of their arrival. A thread that
waits for a store, a lock or a clock lets the next one compute (`blocking`). That costs nothing: the
interpreter runs one thread at a time anyway.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

#: A thread that has queued for this long (s) computes without being called: another one holds the slot longer
#: than it should. A full process gets through its queue in less time.
PATIENCE_S = 0.5


class ComputeQueue:
    """Lets `slots` threads compute at the same time. All methods may be called from any thread."""

    def __init__(self, slots: int = 1) -> None:
        self._lock = threading.Lock()
        self._free = slots  # negative: that many threads went on without being called
        self._queue: deque[threading.Lock] = deque()
        self._local = threading.local()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Hold a slot for the block, except where the block is `blocking`."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def blocking(self) -> Iterator[None]:
        """The block only waits: give the slot to another thread meanwhile. No effect without a slot."""
        if not getattr(self._local, "computing", False):
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
                self._queue.append(place)
        if place is not None and not place.acquire(timeout=PATIENCE_S):
            with self._lock:
                if place in self._queue:  # otherwise it was called just now
                    self._queue.remove(place)
                    self._free -= 1
        self._local.computing = True

    def _give(self) -> None:
        self._local.computing = False
        with self._lock:
            if self._queue and self._free >= 0:
                self._queue.popleft().release()
            else:
                self._free += 1


_requests = ComputeQueue()
computing = _requests.computing
blocking = _requests.blocking


def acquire(lock: threading.Lock, timeout: float) -> bool:
    """Whether the lock could be acquired within `timeout` (s); waiting for it holds no slot."""
    if lock.acquire(blocking=False):
        return True
    with blocking():
        return lock.acquire(timeout=timeout)

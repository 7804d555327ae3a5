"""A pool of threads for synchronous views. A thread serves one request after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from scores import concurrency

#: A thread that has had nothing to do for this long (s) ends.
IDLE_S = 1.0


class Threads:
    """Lends a thread to each request. A returned thread serves the next one.

    Django itself starts two threads for each request, one to work and one to join it, and the event loop
    waits until each has begun. While other threads are busy, that delays all requests.

    The caller limits how many there are. The thread of a cancelled request ends after its work. All methods
    run on one event loop.
    """

    def __init__(self) -> None:
        # The last one returned is used first, so the first in the queue has been idle for longest.
        self._idle: deque[tuple[float, ThreadPoolExecutor]] = deque()

    @asynccontextmanager
    async def one(self, *, in_turn: bool = True) -> AsyncIterator[None]:
        """Run the synchronous views of this block in one thread, which nobody else uses meanwhile.

        They take turns with others (scores.concurrency). `in_turn=False` is for views that wait for a
        relational database, where a turn would not be given back.
        """
        thread = self._idle.pop()[1] if self._idle else ThreadPoolExecutor(1, thread_name_prefix="request")
        try:
            async with ThreadSensitiveContext(executor=_InTurn(thread) if in_turn else thread):
                yield
        except BaseException:  # cancelled, say: the thread may still be working, and ends afterwards
            thread.shutdown(wait=False)
            raise
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), thread))
        loop.call_later(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        until = asyncio.get_running_loop().time() - IDLE_S
        while self._idle and self._idle[0][0] <= until:
            self._idle.popleft()[1].shutdown(wait=False)


class _InTurn(Executor):
    """Runs each call in `thread`, as a turn."""

    def __init__(self, thread: Executor) -> None:
        self._thread = thread

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        return self._thread.submit(_run, call, *args, **options)


def _run(call: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
    with concurrency.computing():
        return call(*args, **options)

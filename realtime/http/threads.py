"""Threads for synchronous views, which outlive their request."""

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
    """Lends a thread to each request; one that is back serves the next.

    Of its own accord Django starts two for each request, one to work and one to join it, and the event loop
    waits until each has begun: next to busy threads that takes as long as these keep the interpreter, and
    everybody else's request is late by as much.

    How many there are is the caller's business, but for those of cancelled requests, which end by themselves
    when their work is done. Everything happens on one event loop.
    """

    def __init__(self) -> None:
        # The one that came back last is used first, so the first in line has waited longest.
        self._idle: deque[tuple[float, ThreadPoolExecutor]] = deque()

    @asynccontextmanager
    async def one(self, *, in_turn: bool = True) -> AsyncIterator[None]:
        """Synchronous views that are called in this block run in a thread that is theirs until its end.

        They compute in turn with others (scores.concurrency), unless they may wait where no turn is given
        back: for a relational database.
        """
        thread = self._idle.pop()[1] if self._idle else ThreadPoolExecutor(1, thread_name_prefix="request")
        try:
            async with ThreadSensitiveContext(executor=_InTurn(thread) if in_turn else thread):
                yield
        except BaseException:  # cancelled, say: the thread may still be at work, and ends after it
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
    """What is submitted runs in `thread`, and has a turn."""

    def __init__(self, thread: Executor) -> None:
        self._thread = thread

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        return self._thread.submit(_run, call, *args, **options)


def _run(call: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
    with concurrency.computing():
        return call(*args, **options)

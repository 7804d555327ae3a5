"""Threads that outlive their request."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async

from realtime.http import threads
from realtime.http.threads import Threads


@pytest.fixture(autouse=True)
def short_idle(monkeypatch):
    monkeypatch.setattr(threads, "IDLE_S", 0.1)


async def request(lender: Threads, work=threading.current_thread):
    async with lender.one():
        return await sync_to_async(work)()


async def test_requests_one_after_the_other_share_a_thread():
    lender = Threads()
    assert len({await request(lender) for _ in range(5)}) == 1


async def test_requests_at_the_same_time_have_a_thread_each():
    together = threading.Barrier(3, timeout=5)

    def work():
        together.wait()
        return threading.current_thread()

    lender = Threads()
    assert len(set(await asyncio.gather(*(request(lender, work) for _ in range(3))))) == 3


async def test_idle_threads_end():
    lender = Threads()
    used = await asyncio.gather(*(request(lender) for _ in range(3)))
    await asyncio.sleep(0.2)
    for thread in used:
        await asyncio.to_thread(thread.join, 5)
    assert not any(thread.is_alive() for thread in used)


async def test_the_thread_of_a_cancelled_request_serves_nobody_else():
    begun, go_on = threading.Event(), threading.Event()

    def work():
        begun.set()
        go_on.wait(5)

    lender = Threads()
    task = asyncio.create_task(request(lender, work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    try:
        await asyncio.wait_for(request(lender), 2)
    finally:
        go_on.set()

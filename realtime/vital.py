"""Work without which a process is of no use, though it would still answer."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

logger = logging.getLogger(__name__)

_failed = False
_ending = False


def watch(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """The task; should it fail, the process ends in an orderly way, for its supervisor to start another."""
    task.add_done_callback(_look)
    return task


def end_begun() -> None:
    """The process is ending already: a failure is only told."""
    global _ending
    _ending = True


def has_failed() -> bool:
    """Whether that is why the process ends."""
    return _failed


def _look(task: asyncio.Task[None]) -> None:
    global _failed
    if task.cancelled() or (error := task.exception()) is None:
        return
    logger.critical("%s failed: this process ends", task.get_coro(), exc_info=error)
    if not (_failed or _ending):
        _failed = True
        os.kill(os.getpid(), signal.SIGTERM)

"""Work without which a process is of no use, though it would still answer."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

logger = logging.getLogger(__name__)


def vital(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """The task; should it fail, the process ends in an orderly way, for its supervisor to start another."""
    task.add_done_callback(_look)
    return task


def _look(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("%s failed: this process ends", task.get_coro(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)

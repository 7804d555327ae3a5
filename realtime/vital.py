"""Tasks without which a process is useless, although it would still answer requests."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

logger = logging.getLogger(__name__)


class VitalTasks:
    """When one of them fails, the process drains and exits, so that its supervisor starts another."""

    def __init__(self) -> None:
        self.failed = False
        self._ending = False

    def watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Returns the task."""
        task.add_done_callback(self._done)
        return task

    def end_begun(self) -> None:
        """The process is ending already: from now on a failure is only logged."""
        self._ending = True

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.critical("%s failed: this process ends", task.get_coro(), exc_info=error)
        if not (self.failed or self._ending):
            self.failed = True
            os.kill(os.getpid(), signal.SIGTERM)

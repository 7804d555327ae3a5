"""What Twisted logs, in our log.

Its own levels say nothing about whose mistake it was: a client's odd bytes can make Twisted report an
unhandled error. An ERROR in our log stops a deployment, so nothing of Twisted's is more than a WARNING.
"""

from __future__ import annotations

import logging
from typing import Any

from twisted.logger import LogLevel, formatEvent

logger = logging.getLogger("twisted")


def observe(event: dict[str, Any]) -> None:
    """Twisted's log observer: hands an event to `logging`."""
    serious = event.get("log_level") in (LogLevel.warn, LogLevel.error, LogLevel.critical)
    level = logging.WARNING if serious else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    failure = event.get("log_failure")
    reason = f": {failure.type.__name__}" if failure is not None else ""
    traceback = None if failure is None else (failure.type, failure.value, failure.getTracebackObject())
    logger.log(level, "%s%s", formatEvent(event), reason, exc_info=traceback)

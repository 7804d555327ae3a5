"""The address that a request is counted for, by the settings of this process (scores/rules/addresses.py)."""

from __future__ import annotations

import logging
import threading

from django.conf import settings

from scores.rules.addresses import client_address

logger = logging.getLogger(__name__)

_warned = threading.Event()


def counted_address(peer: str, forwarded_for: str) -> str:
    """The address of a request from `peer`; `forwarded_for` holds all of its X-Forwarded-For lines."""
    warn_if_unbelieved(forwarded_for)
    return client_address(peer, forwarded_for, settings.SCOREBOARD_TRUSTED_PROXIES)


def warn_if_unbelieved(forwarded_for: str | None) -> None:
    """Say once that X-Forwarded-For came in while no proxy is trusted."""
    if forwarded_for and not settings.SCOREBOARD_TRUSTED_PROXIES and not _warned.is_set():
        _warned.set()
        logger.warning(
            "X-Forwarded-For came in and is not believed: behind a proxy all clients count as one address. "
            "Set SCOREBOARD_TRUSTED_PROXIES to the number of your proxies (docs/security.md)."
        )

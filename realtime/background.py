"""The work a server process does besides answering: the hub, the reconciler, becoming ready.

It starts with the first ASGI call, because not every server has a start hook. Our own server
(realtime/server/server.py) starts it before it listens.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.urls import get_resolver

from realtime import broadcaster
from realtime.hub import Hub, hub
from scores.rules.errors import Unavailable
from scores.stores import ranking, repository
from scores.telemetry import emf, metrics
from scores.upkeep import reconcile

logger = logging.getLogger(__name__)

RECONCILE_EVERY_S = 2.0
#: After a round that failed for a store's sake there is work left: the next one comes after this time (s).
RECONCILE_AGAIN_S = 0.5
#: However often Redis fails and comes back, rounds are at least this far apart (s).
RECONCILE_PAUSE_S = 0.25


class Background:
    """The background work of one process."""

    def __init__(self, the_hub: Hub) -> None:
        self._hub = the_hub
        self._started = False
        self._tables_seen = False
        self.draining = False
        self._stopping = threading.Event()
        self._metrics: emf.Writer | None = None

    @property
    def ready(self) -> bool:
        return self._tables_seen and not self.draining

    def start(self) -> None:
        """Start once, on the running event loop."""
        if self._started:
            return
        self._started = True
        _load()
        broadcaster.use_loop(asyncio.get_running_loop())
        self._hub.start()
        if settings.SCOREBOARD_METRICS_EVERY_S:
            metrics.watch(metrics.OPEN_SOCKETS, lambda: self._hub.viewers)
            self._metrics = emf.Writer(
                settings.SCOREBOARD_METRICS_NAMESPACE, settings.SCOREBOARD_METRICS_EVERY_S
            )
            self._metrics.start()
        # A daemon: a store that does not answer must not keep a process from ending.
        threading.Thread(target=self._maintain, name="reconciler", daemon=True).start()

    def stop(self) -> None:
        """Let the reconciler end after its round, and write the last metrics.

        The hub is stopped by who drains the sockets.
        """
        self._stopping.set()
        ranking.repair_wanted.set()
        if self._metrics is not None:
            self._metrics.stop()

    def _maintain(self) -> None:
        while not self._stopping.is_set() and not self._see_tables():
            self._stopping.wait(1.0)
        while not self._stopping.is_set():
            pause_s = RECONCILE_EVERY_S
            try:
                reconcile.reconcile_ranking()
            except (ranking.RankingUnavailable, Unavailable) as error:
                logger.info("reconciling is left to the next round: %s", error)
                pause_s = RECONCILE_AGAIN_S
            except Exception:
                logger.exception("reconciling failed")
            time.sleep(RECONCILE_PAUSE_S)
            ranking.repair_wanted.wait(pause_s - RECONCILE_PAUSE_S)
            ranking.repair_wanted.clear()

    def _see_tables(self) -> bool:
        try:
            repository.see_tables()
        except Unavailable as error:
            logger.warning("not ready: %s", error)
            return False
        except Exception:
            logger.exception("not ready")
            return False
        _settle_memory()
        self._tables_seen = True
        return True


def _load() -> None:
    """Load what a first request would: many of them can come at once to a process that has just started."""
    get_resolver().url_patterns  # noqa: B018 - imports the views
    try:
        repository.make_clients()
    except Exception:  # no credentials yet, say: each is then made when it is needed
        logger.exception("clients of DynamoDB could not be made beforehand")


def _settle_memory() -> None:
    """Take what start-up has made out of the garbage collector's sight: it stays as long as the process.

    A full collection looks at every object there is while all threads wait, the event loop included: with
    the modules, the settings and the SDK's service models among them that takes 0.2-0.3 s, many times a
    minute under load.
    """
    gc.collect()
    gc.freeze()


background = Background(hub)


class WithBackground:
    """ASGI layer that starts the background work with the first call."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        background.start()
        await self._application(scope, receive, send)

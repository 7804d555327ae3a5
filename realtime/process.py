"""What a server process does besides answering requests: the hub, the reconciler, becoming ready."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
import time
from typing import Any

from django.apps import apps
from django.conf import settings
from django.urls import get_resolver

from realtime.hub.hub import Hub, read_board
from realtime.vital import VitalTasks
from scores.board.scoreboard import Scoreboard
from scores.rules.errors import Unavailable
from scores.stores import administration
from scores.stores.cache import RankingUnavailable
from scores.telemetry import emf, metrics
from scores.upkeep.reconcile import reconcile_ranking

logger = logging.getLogger(__name__)

RECONCILE_EVERY_S = 2.0
#: A round that failed because of a store left work behind: the next one comes after this time (s).
RECONCILE_AGAIN_S = 0.5
#: However often Redis fails and comes back, rounds are at least this far apart (s).
RECONCILE_PAUSE_S = 0.25


class LiveProcess:
    """What one server process runs for `scoreboard`; scoreboard_site.asgi makes it."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self.scoreboard = scoreboard
        self.vital = VitalTasks()
        self.hub = Hub(functools.partial(read_board, scoreboard), self.vital)
        self.draining = False
        self._started = False
        self._tables_seen = False
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
        apps.get_app_config("realtime").broadcaster.use_loop(asyncio.get_running_loop())  # type: ignore[attr-defined]
        self.hub.start()
        if settings.SCOREBOARD_METRICS_EVERY_S:
            metrics.watch(metrics.OPEN_SOCKETS, lambda: self.hub.viewers)
            self._metrics = emf.Writer(
                settings.SCOREBOARD_METRICS_NAMESPACE, settings.SCOREBOARD_METRICS_EVERY_S
            )
            self._metrics.start()
        # A daemon thread: a store that does not answer must not keep the process from exiting.
        threading.Thread(target=self._maintain, name="reconciler", daemon=True).start()

    def stop(self) -> None:
        """Let the reconciler end after its round, and write the last metrics. The drain stops the hub."""
        self._stopping.set()
        self.scoreboard.cache.breaker.repair_wanted.set()
        if self._metrics is not None:
            self._metrics.stop()

    def _maintain(self) -> None:
        while not self._stopping.is_set() and not self._see_tables():
            self._stopping.wait(1.0)
        repair_wanted = self.scoreboard.cache.breaker.repair_wanted
        while not self._stopping.is_set():
            pause_s = RECONCILE_EVERY_S
            try:
                reconcile_ranking(self.scoreboard)
            except (RankingUnavailable, Unavailable) as error:
                logger.info("reconciling is left to the next round: %s", error)
                pause_s = RECONCILE_AGAIN_S
            except Exception:
                logger.exception("reconciling failed")
            time.sleep(RECONCILE_PAUSE_S)
            repair_wanted.wait(pause_s - RECONCILE_PAUSE_S)
            repair_wanted.clear()

    def _see_tables(self) -> bool:
        try:
            administration.see_tables(self.scoreboard.players)
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
    """Load what a first request would load: many requests may reach a process that has just started."""
    get_resolver().url_patterns  # noqa: B018 - imports the views
    try:
        administration.make_clients()
    except Exception:  # for instance no credentials yet: the first call makes the client then
        logger.exception("clients of DynamoDB could not be made beforehand")


def _settle_memory() -> None:
    """Exclude the objects of the start-up from garbage collection: they live as long as the process.

    A full collection visits every object while all threads wait, the event loop included. With the modules,
    the settings and the SDK's service models that takes 0.2-0.3 s, many times a minute under load.
    """
    gc.collect()
    gc.freeze()


class LiveApplication:
    """The outermost ASGI layer: starts the process's own work with the first call.

    Not every server has a start hook. Our own server starts `live` before it listens.
    """

    def __init__(self, live: LiveProcess, application: Any) -> None:
        self.live = live
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.live.start()
        await self._application(scope, receive, send)

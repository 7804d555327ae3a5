"""Our server: daphne used as a library.

HTTP is daphne's own. A socket is a Twisted protocol of ours (realtime/server/websocket.py) that never enters
Channels: a board then costs one write per socket. daphne stops at once on SIGTERM, this server drains
(realtime/server/drain.py).
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import signal
import socket
import sys
from typing import Any

from daphne.server import Server, twisted_loop
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner

from realtime.http.sockets import SocketCounts
from realtime.process import LiveProcess
from realtime.server.connections import Factory
from realtime.server.drain import Drain
from realtime.server.open_files import raise_file_limit
from realtime.server.registry import Registry
from realtime.server.twisted_log import observe
from scores.telemetry import metrics

logger = logging.getLogger(__name__)

#: Kernel send buffer (bytes) of each connection: the most that waits there for a viewer that does not read.
SEND_BUFFER = 32 * 1024
#: Files the process needs besides connections of clients.
SPARE_FILES = 256
SWEEP_S = 1.0


@dataclasses.dataclass(frozen=True)
class Options:
    """How to serve. Times in s; `endpoint` is a Twisted endpoint string that replaces host and port."""

    host: str = "127.0.0.1"
    port: int = 8000
    endpoint: str | None = None
    backlog: int = 4096
    #: Longer than the idle timeout of a load balancer, which would otherwise use connections just closed.
    keep_alive_s: float = 130.0
    #: A request must be complete this long after its first byte, and is answered this long after that.
    request_s: float = 10.0
    grace_s: float = 20.0


class ScoreboardServer(Server):  # type: ignore[misc]
    """The server of one process. `run` returns when it has drained."""

    def __init__(self, application: Any, live: LiveProcess, options: Options) -> None:
        super().__init__(
            application,
            endpoints=[options.endpoint or f"tcp:{options.port}"],
            signal_handlers=False,
            http_timeout=options.request_s,
            server_name="scoreboard",
        )
        self.connections: dict[Any, Any] = {}
        self._live = live
        self._options = options
        room = max(1, raise_file_limit() - SPARE_FILES)
        per_address = settings.SCOREBOARD_MAX_SOCKETS_PER_ADDRESS
        self._registry = Registry(SocketCounts(_socket_limit(room), per_address))
        metrics.watch(metrics.BEHIND_SOCKETS, lambda: self._registry.behind)
        self._factory = Factory(self, live, self._registry, room, options.keep_alive_s)
        self._ports: list[Any] = []
        self._drain = Drain(
            self,
            live,
            self._ports,
            self._factory.channels,
            self._registry,
            grace_s=options.grace_s,
            backlog=options.backlog,
        )
        self._loop: asyncio.AbstractEventLoop = twisted_loop
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. SystemExit if it cannot listen."""
        globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False, discardBuffer=True)
        asyncio.set_event_loop(self._loop)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        reactor.addSystemEventTrigger("before", "shutdown", self.kill_all_applications)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._drain.on_signal)
        self._spawn(self._start())
        reactor.run(installSignalHandlers=False)
        if self._failed or self._live.vital.failed:
            sys.exit(1)

    async def _start(self) -> None:
        try:
            self._live.start()
            if self._options.endpoint:
                listening = serverFromString(reactor, self._options.endpoint).listen(self._factory)
                port = await listening.asFuture(self._loop)
            else:
                port = _listen(self._options, self._factory)
            # An endpoint listens with a backlog of its own: this one replaces it.
            port.socket.listen(self._options.backlog)
            # Every accepted connection inherits it.
            port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._ports.append(port)
        except Exception as error:  # OSError, and whatever an endpoint may raise
            logger.critical("cannot serve: %s: %s", type(error).__name__, error)
            self._failed = True
            self.stop()
            return
        logger.info(
            "serving on %s", self._options.endpoint or f"http://{self._options.host}:{self._options.port}"
        )
        self._spawn(self._registry.run_clock())
        self._spawn(self._sweep())

    def _spawn(self, work: Any) -> None:
        self._tasks.append(self._live.vital.watch(self._loop.create_task(work)))

    async def _sweep(self) -> None:
        """Drop connections whose request does not get complete."""
        while True:
            await asyncio.sleep(SWEEP_S)
            deadline = self._loop.time() - self._options.request_s
            for channel in [c for c in self._factory.channels if (c.waiting_since or deadline) < deadline]:
                channel.transport.abortConnection()


def run(application: Any, live: LiveProcess, options: Options) -> None:
    """Serve `application` until a signal ends it."""
    ScoreboardServer(application, live, options).run()


def _listen(options: Options, factory: Factory) -> Any:
    """A listening port on a socket that we make. Raises OSError."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family) as listener:
        listener.setblocking(False)
        return reactor.adoptStreamPort(listener.fileno(), family, factory)


def _socket_limit(room: float) -> float:
    """The most sockets among `room` connections: a tenth is left for HTTP."""
    most = room if room == math.inf else max(1, room - room // 10)
    wanted: float = settings.SCOREBOARD_MAX_SOCKETS or math.inf
    if most < wanted < math.inf:
        logger.warning("only %.0f sockets: the process may not have more files", most)
    return min(wanted, most)

"""`manage.py probe_board`: is what viewers see what the table says?"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from realtime.probe import client_tls
from realtime.probe.comparison import Comparison
from realtime.sockets.admission import PROTOCOL
from scores.board.index_board import rows_in_table
from scores.board.scoreboard import get_scoreboard
from scores.identity.machine_client import TokenRefused, fetch_token
from scores.rules.boards import Row
from scores.rules.errors import Unavailable
from scores.telemetry import emf, metrics

logger = logging.getLogger(__name__)

#: A board, or a sign of life, comes at least this often (s); else the socket counts as dead.
SILENCE_S = 40.0
OPEN_S = 10.0
#: With --once, the table is looked at again after this time (s), until it agrees.
LOOK_AGAIN_S = 0.25


class Unseen(Exception):
    """There was no board or no table to look at; the text says which, and why."""


class Probe:
    """A viewer that also knows the table."""

    def __init__(self, url: str, origin: str | None, token_url: str | None) -> None:
        self._url, self._origin, self._token_url = url, origin, token_url
        self._comparison = Comparison()
        self._seen = False
        self._heard_at = 0.0
        self.age: float | None = None

    @contextmanager
    def watching(self) -> Iterator[ClientConnection]:
        """An open socket. Raises Unseen when it cannot be opened, or breaks."""
        protocols = [PROTOCOL, self._token()] if self._token_url else None
        self._seen, self.age, self._heard_at = False, None, time.monotonic()
        try:
            with connect(
                self._url,
                ssl=client_tls.context() if self._url.startswith("wss:") else None,
                origin=self._origin,  # type: ignore[arg-type]
                subprotocols=protocols,  # type: ignore[arg-type]
                open_timeout=OPEN_S,
                close_timeout=1,
            ) as viewer:
                yield viewer
        except (OSError, WebSocketException, ValueError, KeyError, TypeError) as error:
            raise Unseen(f"the socket: {type(error).__name__}: {error}") from error
        finally:
            self.age = None

    def _token(self) -> str:
        client_id, secret = os.environ.get("PROBE_CLIENT_ID", ""), os.environ.get("PROBE_CLIENT_SECRET", "")
        try:
            return fetch_token(self._token_url or "", client_id, secret)
        except TokenRefused as error:
            raise Unseen(str(error)) from error

    def listen(self, viewer: ClientConnection, seconds: float) -> None:
        """Take in what the socket says, for this long. Raises Unseen when it has been silent too long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                message = json.loads(viewer.recv(timeout=left))
            except TimeoutError:
                break
            self._heard_at = time.monotonic()
            if message["type"] == "board":
                self._seen = True
                self._comparison.shows(
                    Row(row["rank"], row["userId"], row["name"], row["score"]) for row in message["top10"]
                )
        if time.monotonic() - self._heard_at > SILENCE_S:
            raise Unseen("the socket is open and silent")

    def wait_for_board(self, viewer: ClientConnection) -> None:
        """Raises Unseen when none comes."""
        deadline = time.monotonic() + OPEN_S
        while not self._seen and time.monotonic() < deadline:
            self.listen(viewer, LOOK_AGAIN_S)

    def look(self) -> None:
        """Compare with the table; `age` is the result. Raises Unseen."""
        if not self._seen:
            raise Unseen("the socket has not shown a board yet")
        began = time.monotonic()
        try:
            self._comparison.says(rows_in_table(get_scoreboard().players, self._comparison.user_ids), began)
        except Unavailable as error:
            raise Unseen(f"the table: {error}") from error
        self.age = self._comparison.age(time.monotonic())

    def differences(self) -> list[str]:
        return self._comparison.differences()


class Command(BaseCommand):
    help = (
        "Watch the board as a viewer does and compare it with the table. The age of a difference is the "
        "metric BoardDifferenceAge (written while SCOREBOARD_METRICS_EVERY_S is not 0). With --once, the "
        "exit status is 0: the same; 1: not the same within --within; 2: there was nothing to look at. "
        "For a private board: --token-url, and PROBE_CLIENT_ID and PROBE_CLIENT_SECRET in the environment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="wss://board.example.com/ws/scoreboard")
        parser.add_argument("--once", action="store_true", help="compare once and end")
        parser.add_argument(
            "--interval",
            type=float,
            default=15.0,
            metavar="SECONDS",
            help="look at the table this often; a look costs about 40 read units (default: %(default)s)",
        )
        parser.add_argument(
            "--within",
            type=float,
            default=5.0,
            metavar="SECONDS",
            help="with --once: a difference may take this long to go away (default: %(default)s)",
        )
        parser.add_argument("--origin", help="the Origin to send; a private board wants one that is allowed")
        parser.add_argument("--token-url", help="https://…/oauth2/token, for a private board")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["url"].startswith(("ws://", "wss://")):
            raise CommandError("--url must begin with ws:// or wss://")
        if options["interval"] < 1:
            raise CommandError("--interval must be at least 1")
        self._probe = Probe(options["url"], options["origin"], options["token_url"])
        metrics.watch(metrics.BOARD_DIFFERENCE_AGE, lambda: self._probe.age)
        self._writer = emf.Writer(settings.SCOREBOARD_METRICS_NAMESPACE, 0, metrics.Source.PROBE)
        metrics.switch(True)
        if options["once"]:
            sys.exit(self._once(options["within"]))
        while True:
            try:
                with self._probe.watching() as viewer:
                    while True:
                        self._probe.listen(viewer, options["interval"])
                        self._probe.look()
                        self._report()
            except Unseen as error:
                self._fail(error)
                time.sleep(options["interval"])

    def _once(self, within_s: float) -> int:
        deadline = time.monotonic() + within_s
        while True:
            try:
                return self._compare(within_s)
            except Unseen as error:  # it may be told to come back: a deployment, keys that are being fetched
                if time.monotonic() > deadline:
                    self._fail(error)
                    return 2
            time.sleep(LOOK_AGAIN_S)

    def _compare(self, within_s: float) -> int:
        """The time for a difference to go away begins with the first look: opening a socket may be slow."""
        with self._probe.watching() as viewer:
            self._probe.wait_for_board(viewer)
            self._probe.look()
            deadline = time.monotonic() + within_s
            while self._probe.age and time.monotonic() < deadline:
                self._probe.listen(viewer, LOOK_AGAIN_S)
                self._probe.look()
            self._report()
            return 1 if self._probe.age else 0

    def _report(self) -> None:
        if self._probe.age:
            fields = {"age": round(self._probe.age, 3), "differences": "; ".join(self._probe.differences())}
            logger.warning("the board is not what the table says", extra={"fields": fields})
        else:
            logger.info("the board is what the table says")
        self._write()

    def _fail(self, error: Unseen) -> None:
        logger.warning("nothing to compare: %s", error)
        metrics.record(metrics.PROBE_FAILURES)
        self._write()

    def _write(self) -> None:
        if settings.SCOREBOARD_METRICS_EVERY_S:
            self._writer.flush()

"""How much HTTP one process accepts: bodies of 4 KiB, and a number of updates at a time.

A synchronous view needs a thread (realtime/http/threads.py), and Django has no limit. So updates above the
limit are refused at once, and reads wait here, where waiting costs no thread. The body is read first: a slow
or endless body holds no thread either.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from django.conf import settings

from realtime.http import refusals
from realtime.http.threads import Threads
from scores.api.addresses import warn_if_unbelieved
from scores.api.content_types import plain_content_type
from scores.rules.errors import TooLarge, Unavailable

_READS = ("GET", "HEAD", "OPTIONS")


class Overloaded(Unavailable):
    code, detail = "overloaded", "Too many updates at once."


class Gone(Exception):
    """The client went away before its request was complete."""


def body_limit(path: str) -> int:
    """The most bytes that a body sent to `path` may have: the forms of the admin site are larger."""
    return settings.SCOREBOARD_ADMIN_MAX_BODY if _of_admin(path) else settings.SCOREBOARD_MAX_BODY


def _of_admin(path: str) -> bool:
    return settings.SCOREBOARD_ADMIN and path.startswith("/admin/")


class WithLimits:
    """ASGI layer for HTTP in front of Django. Health checks are answered before it."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._writes = 0
        self._reading = asyncio.Semaphore(settings.SCOREBOARD_MAX_READS)
        self._threads = Threads()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await _read_body(scope, receive)
            scope["headers"] = [_plain(name, value) for name, value in scope["headers"]]
            warn_if_unbelieved(_header(scope, b"x-forwarded-for"))
            scope["received_at"] = time.monotonic()  # what the time of an update is counted from
            in_turn = not _of_admin(scope["path"])
            if scope["method"] in _READS:
                async with self._reading, self._threads.one(in_turn=in_turn):
                    await self._application(scope, _Replay(body), send)
            elif self._writes >= settings.SCOREBOARD_MAX_WRITES:
                raise Overloaded
            else:
                self._writes += 1
                try:
                    async with self._threads.one(in_turn=in_turn):
                        await self._application(scope, _Replay(body), send)
                finally:
                    self._writes -= 1
        except (TooLarge, Overloaded) as error:
            answer = refusals.of_error(error, _header(scope, b"idempotency-key"))
            await refusals.send_refusal(scope, receive, send, answer)
        except Gone:
            pass


class _Replay:
    """`receive` for a request whose body is known.

    It never reports a disconnect: a view that has started also ends, so that no thread works for a
    request that was given up.
    """

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __call__(self) -> dict[str, Any]:
        if self._body is None:
            await asyncio.get_running_loop().create_future()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _read_body(scope: Any, receive: Any) -> bytes:
    """The whole body. Raises TooLarge as soon as it is, or Gone."""
    limit = body_limit(scope["path"])
    announced = _header(scope, b"content-length") or ""
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise TooLarge(limit)
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        body += message.get("body") or b""
        if len(body) > limit:
            raise TooLarge(limit)
        if not message.get("more_body", False):
            return body


def _plain(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The header, without parameters of a content type that Django fails on."""
    if name == b"content-type" and b";" in value:
        return name, plain_content_type(value.decode("latin-1")).encode("latin-1")
    return name, value


def _header(scope: Any, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)

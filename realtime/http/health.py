"""`/livez` and `/readyz`, answered on the event loop before host validation, for load balancers.

A process is ready once it has seen the tables, until it drains. Readiness does not depend on the stores after
that: otherwise a failing store would take every process out of service.
"""

from __future__ import annotations

from typing import Any

from realtime.process import LiveProcess
from scores.api.headers import SECURITY_HEADERS


class WithHealth:
    """ASGI layer in front of the application."""

    def __init__(self, live: LiveProcess, application: Any) -> None:
        self._live = live
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path") if scope["type"] == "http" else None
        if path == "/livez":
            await _answer(send, 200, b"live\n")
        elif path == "/readyz":
            if self._live.ready:
                await _answer(send, 200, b"ready\n")
            else:
                await _answer(send, 503, b"not ready\n")
        else:
            await self._application(scope, receive, send)


async def _answer(send: Any, status: int, body: bytes) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", length), (b"cache-control", b"no-store")]
    headers += [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

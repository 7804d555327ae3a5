"""The answers to requests that are refused before Django sees them: problems with the security headers."""

from __future__ import annotations

import json
import uuid
from typing import Any

from scores.api import problems
from scores.api.headers import SECURITY_HEADERS
from scores.rules.entries import key_of_header
from scores.rules.errors import ScoreboardError
from scores.telemetry import metrics

#: An ASGI answer: status, headers, body.
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


def refusal(
    status: int,
    code: str,
    detail: str,
    *,
    retry_after: int | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """A problem (RFC 9457); `retry_after` in s."""
    body, own = problems.problem(status, code, detail, retry_after=retry_after)
    return _answer(status, body, own | (headers or {}))


def of_error(error: ScoreboardError, key: str | None) -> Answer:
    """The answer to an update, with its idempotency key: `key` is the request's header, if any."""
    status, body, headers = problems.of_error(error)
    metrics.record(metrics.UPDATES_REFUSED, code=error.code)
    usable = None if key is None else key_of_header(key)
    return _answer(status, body, headers | {"Idempotency-Key": usable or str(uuid.uuid4())})


def _answer(status: int, body: object, headers: dict[str, str]) -> Answer:
    content = json.dumps(body).encode()
    every = {
        "Content-Type": problems.CONTENT_TYPE,
        "Content-Length": str(len(content)),
        **headers,
        **SECURITY_HEADERS,
    }
    return status, [(name.lower().encode(), value.encode()) for name, value in every.items()], content


async def send_refusal(scope: Any, receive: Any, send: Any, answer: Answer) -> None:
    """Give this answer to an ASGI request, or to a socket that is not open yet."""
    status, headers, body = answer
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # the client's wish to connect
        kind = "websocket.http.response"
        if kind not in scope.get("extensions", {}):
            await send({"type": "websocket.close"})  # the server then answers 403
            return
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})

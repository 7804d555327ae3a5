"""The answer to what is refused before Django sees it, in the shape and with the headers of any other."""

from __future__ import annotations

import json
import uuid

from scores.api import problems
from scores.api.headers import SECURITY_HEADERS
from scores.rules.entries import key_of_header
from scores.rules.errors import ScoreboardError
from scores.telemetry import metrics

#: An ASGI answer: status, headers, body.
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


def refusal(status: int, code: str, detail: str, *, retry_after: int | None = None) -> Answer:
    """A problem (RFC 9457); `retry_after` in s."""
    body, headers = problems.problem(status, code, detail, retry_after=retry_after)
    return _answer(status, body, headers)


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

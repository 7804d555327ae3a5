"""Applied to every request and answer: the host check, a request id, security headers, our errors."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from scores.api import problems
from scores.api.headers import SECURITY_HEADERS
from scores.rules.errors import Invalid
from scores.telemetry.logs import request_id

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class guard:  # noqa: N801 - a middleware factory, used like a function
    """Synchronous, so that Django changes threads once per request and not once per layer."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        # A client's id ends up in our logs, so it may hold nothing else.
        this_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        token = request_id.set(this_id)
        try:
            request.get_host()
            response = self.get_response(request)
        except DisallowedHost:
            response = problems.for_exception(Invalid("This host is not served here."))
        finally:
            request_id.reset(token)
        response["X-Request-ID"] = this_id
        for name, value in SECURITY_HEADERS.items():
            response.setdefault(name, value)
        if not response.streaming:
            response.setdefault("Content-Length", str(len(response.content)))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        return problems.for_exception(exception)

"""What holds for every answer: a known host, a request id, the security headers, errors in our shape."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from scores.api import problems
from scores.rules.errors import Invalid
from scores.telemetry.logs import request_id

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def _security_headers() -> dict[str, str]:
    # 'self' covers the socket of the same origin; no inline code or style anywhere. Signing in exchanges
    # a code for a token at the pool's own domain.
    connect = " ".join(filter(None, ["'self'", settings.COGNITO_DOMAIN]))
    static = urlsplit(settings.STATIC_URL)
    files = f"'self' {static.scheme}://{static.netloc}" if static.netloc else "'self'"
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {files}; style-src {files}; img-src {files} data:; "
            f"font-src {files}; connect-src {connect}; manifest-src {files}; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.SECURE_HSTS_SECONDS:
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
    return headers


#: Of every answer, also of those that are given before Django is asked.
SECURITY_HEADERS = _security_headers()


class guard:  # noqa: N801 - a middleware factory, used like a function
    """Synchronous, so that Django changes threads once per request and not once per layer."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        # A client's id ends up in our logs: only one that cannot be anything else.
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

"""What holds for every answer: a known host, the security headers, and no error without our shape."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from scores import problems
from scores.errors import Invalid

# 'self' covers the socket of the same origin; no inline code or style anywhere. Signing in exchanges a code
# for a token at the pool's own domain.
_CONNECT = " ".join(filter(None, ["'self'", settings.COGNITO_DOMAIN]))
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src {_CONNECT}; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class guard:  # noqa: N801 - a middleware factory, used like a function
    """Synchronous, so that Django changes threads once per request and not once per layer."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
            response = self.get_response(request)
        except DisallowedHost:
            response = problems.for_exception(Invalid("This host is not served here."))
        for name, value in SECURITY_HEADERS.items():
            response.setdefault(name, value)
        if not response.streaming:
            response.setdefault("Content-Length", str(len(response.content)))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        return problems.for_exception(exception)

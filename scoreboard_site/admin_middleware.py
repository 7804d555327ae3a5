"""Only for the admin site: sessions, sign-in, lockout, messages, its own policy and error pages.

The API, the page and the socket need none of it, and must work while the relational database is down. So
Django's middleware is not in MIDDLEWARE, where every request would pass through it, but here. Django's admin
protects each of its views against forged requests (CSRF) itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from axes.middleware import AxesMiddleware
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render

from scores.api import problems
from scores.rules.errors import ScoreboardError, Unavailable
from scores.telemetry import security_events

logger = logging.getLogger(__name__)

PREFIX = "/admin/"
#: The first of these sees a request first.
LAYERS = (SessionMiddleware, AuthenticationMiddleware, MessageMiddleware, AxesMiddleware)
_SESSION_KEY = re.compile(r"[a-z0-9]{32}")
#: When to try again (s): after a lockout, and when a store or the database did not answer.
_RETRY_AFTER_S = {429: int(settings.AXES_COOLOFF_TIME.total_seconds()), 503: 5}


def _policy() -> str:
    static = urlsplit(settings.STATIC_URL)
    files = f"'self' {static.scheme}://{static.netloc}" if static.netloc else "'self'"
    return (
        f"default-src 'none'; script-src {files}; style-src {files}; img-src {files} data:; "
        f"font-src {files}; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class UnsupportedCharset(BadRequest):
    """A form in another charset than UTF-8."""


def _check_charset(request: HttpRequest) -> None:
    """Raises UnsupportedCharset. UTF-8 is no longer named here: realtime/http/limits.py takes it out."""
    if "charset" in (request.content_params or {}):
        raise UnsupportedCharset


def _check_nul(request: HttpRequest) -> None:
    """Raises BadRequest for a NUL in the query or in a form: PostgreSQL stores none, in no field."""
    body = request.body if request.method == "POST" else b""
    if "%00" in request.META.get("QUERY_STRING", "") or b"%00" in body or b"\0" in body:
        raise BadRequest


def _drop_odd_session(request: HttpRequest) -> None:
    """Forget a session cookie that Django cannot have made: a database may refuse even to look for it."""
    if not _SESSION_KEY.fullmatch(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)


class for_admin:  # noqa: N801 - a middleware factory, used like a function
    """Sends requests of the admin site through LAYERS, and all others past them."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._policy = _policy()
        self._admin = get_response
        for layer in reversed(LAYERS):
            self._admin = layer(self._admin)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        _drop_odd_session(request)
        try:
            _check_charset(request)
            _check_nul(request)
            response = self._admin(request)
        except (DatabaseError, BadRequest, SuspiciousOperation) as error:  # outside any view
            response = _error_page(request, error)
        response["Content-Security-Policy"] = self._policy
        if response.status_code in _RETRY_AFTER_S:
            response.setdefault("Retry-After", str(_RETRY_AFTER_S[response.status_code]))
        response.setdefault("Cache-Control", "private, no-store")
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The error page of the admin site; None leaves all other paths to the next one."""
        return _error_page(request, exception) if request.path_info.startswith(PREFIX) else None


def _error_page(request: HttpRequest, error: Exception) -> HttpResponse:
    if isinstance(error, PermissionDenied):
        status, title, text = 403, "Not allowed", "Your account does not have the permission for this."
    elif isinstance(error, Http404):
        status, title, text = 404, "Not found", str(error) or "There is nothing at this address."
    elif isinstance(error, RequestDataTooBig):
        status, title, text = 413, "Too large", "The form is too large."
    elif isinstance(error, UnsupportedCharset):
        status, title, text = 415, "Unsupported charset", "Forms are read in UTF-8 only."
    elif isinstance(error, BadRequest | SuspiciousOperation | MultiPartParserError):
        status, title, text = 400, "Bad request", "The request cannot be understood."
    elif isinstance(error, DatabaseError):
        logger.error("the admin site's database does not answer: %s", type(error).__name__)
        status, title = 503, "Not now"
        text = "The database of the admin site does not answer. The scoreboard is not affected."
    elif isinstance(error, ScoreboardError):
        status, title, text = error.status, "Not now", str(error)
    else:
        logger.error("unexpected error", exc_info=error)
        status, title, text = 503, "Not now", str(Unavailable())
    # Without the request: its context processors would ask the database who is signed in.
    return render(None, "admin/error.html", {"status": status, "title": title, "text": text}, status=status)


def address_for_lockout(request: HttpRequest) -> str | None:
    """The address that failed sign-ins are counted for: as for the rate limits, an IPv6 customer is one."""
    address = problems.address_of(request).partition("/")[0]
    return None if address == "unknown" else address


# --- Security events ----------------------------------------------------------------------------------
# A failure does not name the account: people type their password in its place.


@receiver(user_login_failed)
def _sign_in_failed(request: HttpRequest | None = None, **kwargs: object) -> None:
    address = problems.address_of(request) if request else None
    security_events.refused("admin_sign_in", address=address)


@receiver(user_locked_out)
def _locked_out(request: HttpRequest | None = None, **kwargs: object) -> None:
    address = problems.address_of(request) if request else None
    security_events.refused("admin_locked_out", status=429, address=address)


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: object, **kwargs: object) -> None:
    fields = {"event": "admin_signed_in", "account": str(user), "address": problems.address_of(request)}
    logging.getLogger("scores.security").info("accepted", extra={"fields": fields})

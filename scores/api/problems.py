"""The one shape of an error answer: RFC 9457 problem details with a stable `code`."""

from __future__ import annotations

import json
import logging
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from scores.api.addresses import counted_address
from scores.rules.errors import Invalid, ScoreboardError, TooLarge, Unavailable
from scores.telemetry import security_events

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    429: "Too many requests",
    503: "Service unavailable",
}
#: Answers that are security events: not authenticated, not allowed, a key reused, too many requests.
_SECURITY = {401, 403, 422, 429}
_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported_media_type",
}


def problem(
    status: int, code: str, detail: str, *, errors: Any = None, retry_after: int | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """(body, headers) of an error answer; `errors` says more for each field, `retry_after` in s."""
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "code": code, "detail": detail}
    if errors is not None:
        body["errors"] = errors
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return body, headers | {"Cache-Control": "no-store"}


def of_error(error: ScoreboardError, errors: Any = None) -> tuple[int, dict[str, Any], dict[str, str]]:
    body, headers = problem(
        error.status, error.code, str(error), errors=errors, retry_after=error.retry_after
    )
    return error.status, body, headers


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's hook: every exception of a view becomes a problem. An unexpected one is logged and is a 503."""
    set_rollback()
    extra: dict[str, str] = {}
    status, body, headers = _of_exception(exc)
    if challenge := getattr(exc, "auth_header", None):  # set by DRF on a 401
        extra["WWW-Authenticate"] = challenge
    if status in _SECURITY:
        _record(exc, body["code"], status, context)
    return Response(body, status, headers=headers | extra, content_type=CONTENT_TYPE)


def _record(exc: Exception, code: str, status: int, context: dict[str, Any]) -> None:
    request = context["request"]
    caller = getattr(request, "_user", None)
    security_events.refused(
        code,
        status=status,
        method=request.method,
        path=request.path[:200],
        address=address_of(request),
        subject=getattr(caller, "subject", None),
        clientId=getattr(caller, "client_id", None),
        userId=getattr(context.get("view"), "user_id", None),
        reason=str(exc.__cause__)[:100] if exc.__cause__ else None,
    )


def address_of(request: HttpRequest) -> str:
    """The address that a request is counted for."""
    meta = request.META
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    return counted_address(meta.get("REMOTE_ADDR") or "", forwarded)


def _of_exception(exc: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    if isinstance(exc, ScoreboardError):
        return of_error(exc)
    if isinstance(exc, RequestDataTooBig):
        return of_error(TooLarge())
    if isinstance(exc, SuspiciousOperation | BadRequest | MultiPartParserError):
        return of_error(Invalid())
    if isinstance(exc, exceptions.ValidationError):
        return of_error(Invalid(), errors=exc.detail)
    if isinstance(exc, exceptions.APIException) and exc.status_code in _CODES:
        status = exc.status_code
        return status, *problem(status, _CODES[status], str(exc.detail))
    logger.error("unexpected error", exc_info=exc)
    return of_error(Unavailable())


def http_response(status: int, body: dict[str, Any], headers: dict[str, str]) -> HttpResponse:
    """A problem outside DRF."""
    return HttpResponse(json.dumps(body), status=status, headers=headers, content_type=CONTENT_TYPE)


def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """The view of every path that has no other."""
    return http_response(404, *problem(404, "not_found", "There is nothing at this path."))


def for_exception(exc: Exception) -> HttpResponse:
    """The answer to an exception outside DRF."""
    return http_response(*_of_exception(exc))


def method_not_allowed(request: HttpRequest, *allowed: str) -> HttpResponse:
    """The answer of a view outside DRF that serves only the `allowed` methods."""
    body, headers = problem(405, "method_not_allowed", f'Method "{request.method}" not allowed.')
    return http_response(405, body, headers | {"Allow": ", ".join(allowed)})


def bad_request(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Django's answer to what it cannot read, before any view."""
    return http_response(*of_error(Invalid()))


def unavailable(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Django's answer to an error outside any view."""
    return http_response(*of_error(Unavailable()))

"""What a request asks for: one reading of its target, for routing, limits, caching and logs.

RFC 9112, section 3.2. A path has one spelling, so that two readers of it (a cache, a limit, a router)
cannot disagree: no empty or dot segments, and no percent-encoding of a letter, a digit, "-", ".", "_", "~"
or "/". Any other spelling is a path that does not exist.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from realtime.http import refusals

_COMMON = re.compile(rb"/|(?:/[A-Za-z0-9_~:@-][A-Za-z0-9_~:@.-]*)+/?")
_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)+")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:/[^?#]*)?)((?:\?[^#]*)?)", re.IGNORECASE)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
#: Bytes that are never percent-encoded in a path of ours: unreserved characters, "/" and control characters.
_NEVER_ESCAPED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\x7f" + bytes(range(0x20))
)


class Target(NamedTuple):
    """`path` is decoded; `raw_path` and `query` are as sent. `host` replaces the Host header if given."""

    path: str
    raw_path: bytes
    query: bytes = b""
    host: bytes | None = None


class BadTarget(Exception):
    """There is nothing for this target; `answer` says why."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}

    @property
    def answer(self) -> refusals.Answer:
        return refusals.refusal(self.status, self.code, str(self), headers=self.headers)


def read_target(method: bytes, target: bytes) -> Target:
    """Read the target of a request line. Raises BadTarget."""
    if method == b"CONNECT" or target == b"*":
        allow = {"Allow": "GET, HEAD, POST, PATCH, PUT"}
        detail = "This server is no proxy, and has no options of its own."
        raise BadTarget(405, "method_not_allowed", detail, allow)
    if not target.isascii():
        raise BadTarget(400, "invalid", "The request target is not ASCII.")
    if target.startswith(b"/"):
        raw_path, _, query = target.partition(b"?")
        return Target(_decoded(raw_path), raw_path, query)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadTarget(400, "invalid", "The request target is neither a path nor an address.")
    host, raw_path, query = absolute.groups()
    if not _is_ours(host.decode("latin-1")):
        raise BadTarget(400, "invalid", "This host is not served here.")
    raw_path = raw_path or b"/"
    return Target(_decoded(raw_path), raw_path, query[1:], host)


def _is_ours(authority: str) -> bool:
    domain, _ = split_domain_port(authority)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _decoded(raw_path: bytes) -> str:
    """The path that these bytes are the one spelling of. Raises BadTarget."""
    if _COMMON.fullmatch(raw_path):
        return raw_path.decode()
    if _PATH.fullmatch(raw_path) and not _has_other_spelling(raw_path):
        try:
            return unquote_to_bytes(raw_path).decode()
        except UnicodeDecodeError:
            pass
    raise BadTarget(404, "not_found", "There is nothing at this path.")


def _has_other_spelling(raw_path: bytes) -> bool:
    if any(int(found, 16) in _NEVER_ESCAPED for found in _ESCAPE.findall(raw_path)):
        return True
    *inner, last = raw_path.split(b"/")[1:]
    return any(segment in (b"", b".", b"..") for segment in inner) or last in (b".", b"..")


class WithTarget:
    """ASGI layer in front of all others: they see a path in its one spelling, or the request ends here."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        if query := scope.get("query_string"):
            raw += b"?" + query
        try:
            target = read_target(scope.get("method", "GET").encode(), raw)
        except BadTarget as error:
            await refusals.send_refusal(scope, receive, send, error.answer)
            return
        headers = scope["headers"]
        if target.host is not None:
            headers = [(b"host", target.host), *((name, value) for name, value in headers if name != b"host")]
        here = {"path": target.path, "raw_path": target.raw_path, "headers": headers}
        # The root path is empty: daphne takes it from a header that any client can send.
        await self._application(scope | here | {"root_path": ""}, receive, send)

"""A small HTTP client of the standard library: `make smoke` must not need the development tools."""

from __future__ import annotations

import dataclasses
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any
from urllib.parse import urljoin

TIMEOUT_S = 10.0
JSON = {"Content-Type": "application/json"}


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer of a server. The case of header names does not matter."""

    status_code: int
    headers: HTTPMessage
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.content)


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """A redirect is an answer as any other."""


class Client:
    """Sends requests to one site. It trusts the system's authorities and SSL_CERT_FILE, and keeps no cookies.

    Raises OSError when there is no answer.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        self._opener = urllib.request.build_opener(_StayHere, secure)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._send("GET", path, None, headers or {})

    def post(self, path: str, body: bytes | Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Anything but bytes is sent as JSON."""
        if isinstance(body, bytes):
            return self._send("POST", path, body, headers or {})
        return self._send("POST", path, json.dumps(body).encode(), JSON | dict(headers or {}))

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        request = urllib.request.Request(urljoin(f"{self._url}/", path), body, dict(headers), method=method)
        try:
            answer = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Answer(answer.status, answer.headers, answer.read())

"""The public keys of the user pool, kept in the process.

A thread fetches them, one fetch at a time. Requests with a known key never wait for it, because the key
endpoint may be slow, down, or send a byte at a time for hours.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import jwt

from scores import concurrency

logger = logging.getLogger(__name__)

#: Shortest time between two fetches (s), however many tokens have unknown keys.
REFETCH_S = 30.0
#: The key set is fetched again after this time (s) even if all keys are known.
REFRESH_S = 3600.0
#: Longest time of a fetch, and of a request that waits for it (s).
FETCH_TIMEOUT_S = 2.0
_MAX_BYTES = 65_536


class KeysUnavailable(Exception):
    """No key of the pool is known and its key set cannot be fetched, so no token can be checked."""


class KeySet:
    """The keys at `url`. Known keys stay when the key endpoint fails."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._tried_at = float("-inf")
        self._idle = threading.Event()
        self._idle.set()

    def find(self, kid: str, wait_s: float = FETCH_TIMEOUT_S) -> Any | None:
        """The key `kid`, or None. An unknown `kid` may start a fetch; this waits up to `wait_s` for it.

        Raises KeysUnavailable when no key is known, or while a fetch is running that may bring the key.
        """
        key = self._keys.get(kid)
        age = self._clock() - self._tried_at
        if age >= (REFETCH_S if key is None else REFRESH_S):
            self._start_fetch()
        if key is None:
            with concurrency.blocking():
                self._idle.wait(wait_s)
            key = self._keys.get(kid)
            if key is None and (not self._keys or not self._idle.is_set()):
                raise KeysUnavailable
        return key

    def _start_fetch(self) -> None:
        with self._lock:
            if not self._idle.is_set() or self._clock() - self._tried_at < REFETCH_S:
                return
            self._tried_at = self._clock()
            self._idle.clear()
        threading.Thread(target=self._fetch, name="keyset", daemon=True).start()

    def _fetch(self) -> None:
        try:
            self._keys = _usable(json.loads(_read(self._url))["keys"])
        except Exception as error:  # an endpoint may send anything; the old keys stay
            logger.warning("the key set could not be fetched: %s", type(error).__name__)
        finally:
            self._idle.set()


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: keys come only from the address in the settings."""


_opener = urllib.request.build_opener(_StayHere)


def _read(url: str) -> bytes:
    deadline = time.monotonic() + FETCH_TIMEOUT_S
    body = b""
    with _opener.open(url, timeout=FETCH_TIMEOUT_S) as response:
        while chunk := response.read1(_MAX_BYTES):
            body += chunk
            if time.monotonic() > deadline or len(body) > _MAX_BYTES:
                raise TimeoutError("too slow or too long")
    return body


def _usable(keys: list[dict[str, Any]]) -> dict[str, Any]:
    """The RSA keys for signatures, by id. Raises ValueError when there are none."""
    found = {
        key["kid"]: jwt.PyJWK(key, algorithm="RS256").key
        for key in keys
        if key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and key.get("alg", "RS256") == "RS256"
    }
    if not found:
        raise ValueError("no usable keys")
    return found

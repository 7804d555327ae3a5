"""Who is calling: access tokens of an Amazon Cognito user pool, checked without DRF and without a database.

The verifier serves the HTTP API (scores/authentication.py) and the socket alike. It subclasses the
validator of django-cognito-jwt, whose own checks are for ID tokens and fetch the key set per request.
Claims of a Cognito access token: docs.aws.amazon.com/cognito, "Understanding the access token".
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import jwt
from django.conf import settings
from django_cognito_jwt.validator import TokenError, TokenValidator

logger = logging.getLogger(__name__)

#: A caller with this scope (client credentials: the site's own server) may write for any player.
WRITE_SCOPE = "scoreboard/score.write"
#: The key set is fetched at most once in this time (s), whatever tokens come in.
REFETCH_S = 30.0
#: Known keys are looked at again after this time (s).
REFRESH_S = 3600.0
FETCH_TIMEOUT_S = 2.0
_MAX_TOKEN_CHARS = 8192
_LATEST = 2**40  # s; no token lives for thousands of years
_MAX_KEYSET_BYTES = 65_536

__all__ = ["Identity", "KeysUnavailable", "TokenError", "get_verifier"]


class KeysUnavailable(Exception):
    """No key of the pool is known yet, and its key set cannot be fetched: nobody can be identified."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """A verified caller; `expires_at` in s since 1970."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    expires_at: int
    is_authenticated: bool = True  # what DRF's IsAuthenticated asks

    @property
    def is_server(self) -> bool:
        """Whether this is the site's own server, which may write for any player."""
        return WRITE_SCOPE in self.scopes

    def may_write_for(self, user_id: str) -> bool:
        return self.subject == user_id or self.is_server


class KeySet:
    """The pool's public keys, kept in the process; old ones stay when the key endpoint fails."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._tried_at = float("-inf")

    def find(self, kid: str) -> Any | None:
        """The key `kid`, or None. Raises KeysUnavailable when no key at all is known."""
        age = self._clock() - self._tried_at
        if (kid not in self._keys and age >= REFETCH_S) or age >= REFRESH_S:
            self._refetch(self._tried_at)
        if not self._keys:
            raise KeysUnavailable
        return self._keys.get(kid)

    def _refetch(self, seen: float) -> None:
        with self._lock:
            if self._tried_at != seen:  # another thread has just done it
                return
            self._tried_at = self._clock()
            try:
                with urllib.request.urlopen(self._url, timeout=FETCH_TIMEOUT_S) as response:
                    keys = json.loads(response.read(_MAX_KEYSET_BYTES))["keys"]
                self._keys = {
                    key["kid"]: jwt.PyJWK(key, algorithm="RS256").key
                    for key in keys
                    if key.get("kty") == "RSA"
                }
            except Exception as error:  # whatever an endpoint may send: the old keys stay
                logger.warning("the key set could not be fetched: %s", type(error).__name__)


class CognitoVerifier(TokenValidator):  # type: ignore[misc]
    """Turns an access token into an Identity."""

    def __init__(self, keys: KeySet, issuer: str, client_ids: frozenset[str], leeway_s: int) -> None:
        super().__init__(aws_region=None, aws_user_pool=None, audience=None)
        self._keys = keys
        self._issuer = issuer
        self._client_ids = client_ids
        self._leeway_s = leeway_s

    def _get_public_key(self, token: str) -> Any | None:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise TokenError("not a token") from error
        if header.get("alg") != "RS256" or "crit" in header:
            raise TokenError("not an RS256 token")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise TokenError("no key id")
        return self._keys.find(kid)

    def validate(self, token: str | bytes) -> Identity:
        """Raises TokenError when the token is not a valid access token, KeysUnavailable without keys."""
        try:
            text = token.decode("ascii") if isinstance(token, bytes) else token
        except UnicodeDecodeError as error:
            raise TokenError("not a token") from error
        if len(text) > _MAX_TOKEN_CHARS:
            raise TokenError("too long")
        key = self._get_public_key(text)
        if key is None:
            raise TokenError("unknown key")
        try:
            claims = jwt.decode(
                text,
                key,
                algorithms=["RS256"],
                issuer=self._issuer,
                leeway=self._leeway_s,
                options={"require": ["exp", "iat", "iss", "sub"], "verify_aud": False},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise TokenError(str(error)) from error
        if claims.get("token_use") != "access":
            raise TokenError("not an access token")
        client_id, scope = claims.get("client_id"), claims.get("scope", "")
        if not isinstance(client_id, str) or client_id not in self._client_ids:
            raise TokenError("issued to another client")
        expires_at = int(claims["exp"])
        if not isinstance(scope, str) or expires_at > _LATEST:
            raise TokenError("odd claims")
        return Identity(claims["sub"], client_id, frozenset(scope.split()), expires_at)


@functools.cache
def get_verifier() -> CognitoVerifier:
    """The verifier of this process, as set in the settings."""
    return CognitoVerifier(
        KeySet(settings.COGNITO_KEYSET_URL),
        settings.COGNITO_ISSUER,
        frozenset(settings.COGNITO_CLIENT_IDS),
        settings.COGNITO_LEEWAY_S,
    )

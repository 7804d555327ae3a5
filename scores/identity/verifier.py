"""Who is calling: access tokens of an Amazon Cognito user pool, checked without DRF and without a database.

The verifier serves the HTTP API (scores/identity/authentication.py) and the socket alike. It subclasses the
validator of django-cognito-jwt, whose own checks are for ID tokens and fetch the key set per request.
Claims of a Cognito access token: docs.aws.amazon.com/cognito, "Understanding the access token".
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jwt
from django.conf import settings
from django_cognito_jwt.validator import TokenError, TokenValidator

from scores.identity.keyset import FETCH_TIMEOUT_S, REFETCH_S, KeySet, KeysUnavailable
from scores.rules.players import ID_PATTERN

#: A caller with this scope (client credentials: the site's own server) may write for any player.
WRITE_SCOPE = "scoreboard/score.write"
_MAX_TOKEN_CHARS = 8192
_LATEST = 2**40  # s; no token lives for thousands of years

__all__ = ["REFETCH_S", "Identity", "KeySet", "KeysUnavailable", "TokenError", "get_verifier"]


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


class CognitoVerifier(TokenValidator):  # type: ignore[misc]
    """Turns an access token into an Identity."""

    def __init__(self, keys: KeySet, issuer: str, client_ids: frozenset[str], leeway_s: int) -> None:
        super().__init__(aws_region=None, aws_user_pool=None, audience=None)
        self._keys = keys
        self._issuer = issuer
        self._client_ids = client_ids
        self._leeway_s = leeway_s

    def validate(self, token: str | bytes, wait_s: float = FETCH_TIMEOUT_S) -> Identity:
        """Who shows this access token; an unknown key may be waited for (s).

        Raises TokenError when it is not a valid one, KeysUnavailable without keys.
        """
        try:
            text = token.decode("ascii") if isinstance(token, bytes) else token
        except UnicodeDecodeError as error:
            raise TokenError("not a token") from error
        if len(text) > _MAX_TOKEN_CHARS:
            raise TokenError("too long")
        key = self._keys.find(_key_id(text), wait_s)
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
            raise TokenError(type(error).__name__) from error
        return self._identity(claims)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        subject, client_id, scope = claims["sub"], claims.get("client_id"), claims.get("scope", "")
        if claims.get("token_use") != "access":
            raise TokenError("not an access token")
        if not isinstance(client_id, str) or client_id not in self._client_ids:
            raise TokenError("issued to another client")
        if not ID_PATTERN.fullmatch(subject) or not isinstance(scope, str):
            raise TokenError("odd subject or scope")
        if any(type(claims.get(name, 0)) is not int for name in ("exp", "iat", "nbf")):
            raise TokenError("odd times")
        if claims["exp"] > _LATEST:
            raise TokenError("endless")
        return Identity(subject, client_id, frozenset(scope.split()), claims["exp"])


def _key_id(token: str) -> str:
    """The id of the key that signed; the one thing that is read before the signature is checked."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise TokenError("not a token") from error
    if header.get("alg") != "RS256" or "crit" in header:
        raise TokenError("not an RS256 token")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TokenError("no key id")
    return kid


@functools.cache
def get_verifier() -> CognitoVerifier:
    """The verifier of this process, as set in the settings."""
    return CognitoVerifier(
        KeySet(settings.COGNITO_KEYSET_URL),
        settings.COGNITO_ISSUER,
        frozenset(settings.COGNITO_CLIENT_IDS),
        settings.COGNITO_LEEWAY_S,
    )

"""Checks access tokens of an Amazon Cognito user pool, without DRF and without a database.

The HTTP API (scores/identity/authentication.py) and the socket use the same verifier. It subclasses the
validator of django-cognito-jwt, which checks ID tokens only and fetches the key set for each request.
Claims of a Cognito access token: docs.aws.amazon.com/cognito, "Understanding the access token".
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Any

import jwt
from django.conf import settings
from django_cognito_jwt.validator import TokenError, TokenValidator

from scores.identity.keyset import FETCH_TIMEOUT_S, REFETCH_S, KeySet, KeysUnavailable
from scores.rules.players import id_problem

#: The site's own server has this scope (client credentials). It may write for any player.
WRITE_SCOPE = "scoreboard/score.write"
_MAX_TOKEN_CHARS = 8192
_LATEST = 2**40  # s; no token lives for thousands of years
# One pool has an original and an updated issuer; an early form of the updated one has a dot.
_POOL = re.compile(
    r"https://(?:issuer[.-])?(cognito-idp\.[a-z0-9-]{1,32}\.amazonaws\.com(?:\.cn)?/[\w-]{1,64})"
)
_ISSUER_HOSTS = ("https://", "https://issuer-", "https://issuer.")

__all__ = ["REFETCH_S", "Identity", "KeySet", "KeysUnavailable", "TokenError", "WrongToken", "get_verifier"]


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """A verified caller. `expires_at` is in s since 1970, `username` the name the pool has for a person."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    expires_at: int
    username: str | None = None
    is_authenticated: bool = True  # read by DRF's IsAuthenticated

    @property
    def is_server(self) -> bool:
        """Whether this is the site's own server, which may write for any player."""
        return WRITE_SCOPE in self.scopes

    def may_write_for(self, user_id: str) -> bool:
        return self.subject == user_id or self.is_server

    def explain_refusal(self, user_id: str) -> str | None:
        """The mistake behind a `user_id` that this caller may not write for, if it is a known one."""
        if user_id != self.username:
            return None
        return "The userId is the username of your token. Send the token's sub instead."


class WrongToken(TokenError):  # type: ignore[misc]
    """A validly signed token of the pool that cannot be used. `detail` tells the caller why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.detail = detail


class CognitoVerifier(TokenValidator):  # type: ignore[misc]
    """Turns an access token into an Identity."""

    def __init__(self, keys: KeySet, issuer: str, client_ids: frozenset[str], leeway_s: int) -> None:
        super().__init__(aws_region=None, aws_user_pool=None, audience=None)
        self._keys = keys
        self._issuers = issuer_forms(issuer)
        self._client_ids = client_ids
        self._leeway_s = leeway_s

    def validate(self, token: str | bytes, wait_s: float = FETCH_TIMEOUT_S) -> Identity:
        """The caller of this access token. Waits up to `wait_s` for a key that is not known yet.

        Raises WrongToken, TokenError for any other token, KeysUnavailable without keys.
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
                issuer=self._issuers,
                leeway=self._leeway_s,
                options={"require": ["exp", "iat", "iss"], "verify_aud": False},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise TokenError(type(error).__name__) from error
        return self._identity(claims)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        if claims.get("token_use") == "id":
            raise WrongToken("not an access token", "This is an ID token. Send the access token instead.")
        if claims.get("token_use") != "access":
            raise TokenError("not an access token")
        if any(type(claims.get(name, 0)) is not int for name in ("exp", "iat", "nbf")):
            raise TokenError("odd times")
        if claims["exp"] > _LATEST:
            raise TokenError("endless")
        return Identity(
            _subject(claims),
            self._client(claims),
            _scopes(claims),
            claims["exp"],
            claims["username"] if isinstance(claims.get("username"), str) else None,
        )

    def _client(self, claims: dict[str, Any]) -> str:
        client_id = claims.get("client_id")
        if not isinstance(client_id, str):
            raise TokenError("no client")
        if client_id not in self._client_ids:
            detail = "The access token was issued to an app client that is not accepted here."
            raise WrongToken("issued to another client", detail)
        return client_id


def issuer_forms(issuer: str) -> list[str]:
    """`issuer` in every form that one Cognito pool may use in its tokens; any other issuer as it is."""
    pool = _POOL.fullmatch(issuer)
    return [host + pool[1] for host in _ISSUER_HOSTS] if pool else [issuer]


def _subject(claims: dict[str, Any]) -> str:
    if "sub" not in claims:
        raise WrongToken("no subject", "The access token has no sub; its username is not a user id.")
    if not isinstance(claims["sub"], str):
        raise TokenError("odd subject")
    if rule := id_problem(claims["sub"]):
        raise WrongToken(
            "odd subject", f"The sub of the access token cannot be a user id, which must be {rule}"
        )
    return claims["sub"]


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise TokenError("odd scope")
    return frozenset(scope.split())


def _key_id(token: str) -> str:
    """The id of the signing key: the only part that is used before the signature is checked."""
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
    """The verifier of this process, made from the settings."""
    return CognitoVerifier(
        KeySet(settings.COGNITO_KEYSET_URL),
        settings.COGNITO_ISSUER,
        frozenset(settings.COGNITO_CLIENT_IDS),
        settings.COGNITO_LEEWAY_S,
    )

"""Authentication for DRF: django-cognito-jwt's class with our verifier, and without a database."""

from __future__ import annotations

from django_cognito_jwt import JSONWebTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from scores.identity.verifier import Identity, KeysUnavailable, TokenError, WrongToken, get_verifier
from scores.rules.errors import Unavailable


class CognitoAuthentication(JSONWebTokenAuthentication):  # type: ignore[misc]
    def authenticate(self, request: Request) -> tuple[Identity, None] | None:
        """None without a bearer token. Raises AuthenticationFailed, or Unavailable without any keys."""
        request._request.token_refused = True  # type: ignore[attr-defined]
        token = self.get_jwt_token(request)
        request._request.token_refused = token is not None  # type: ignore[attr-defined]
        if token is None:
            return None
        try:
            return get_verifier().validate(token), None
        except WrongToken as error:
            raise AuthenticationFailed(error.detail) from error
        except TokenError as error:
            raise AuthenticationFailed("The access token is not valid.") from error
        except KeysUnavailable as error:
            raise Unavailable("Tokens cannot be checked right now.") from error

    def get_jwt_token(self, request: Request) -> bytes | None:
        """The bearer token, or None. Raises AuthenticationFailed for a header that is not a single token."""
        try:
            token: bytes | None = super().get_jwt_token(request)
        except UnicodeDecodeError:  # the scheme is not UTF-8
            return None
        return token

    def authenticate_header(self, request: Request) -> str:
        """The challenge of RFC 6750, section 3. The error code is there only if the request had a token."""
        refused = getattr(request._request, "token_refused", False)
        return 'Bearer realm="scoreboard"' + (', error="invalid_token"' if refused else "")

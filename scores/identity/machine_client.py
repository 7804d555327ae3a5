"""Gets an access token for a machine client of the user pool. Tools use it to act as the site's server.

OAuth 2.0, client credentials (RFC 6749, section 4.4), at the pool's token endpoint. Imports nothing of ours.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_S = 5.0


class TokenRefused(Exception):
    """The token endpoint gave no token. The text says why and holds no secret."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: the secret is sent to the configured address only."""


_opener = urllib.request.build_opener(_StayHere)


def fetch_token(url: str, client_id: str, client_secret: str, scope: str = "") -> str:
    """An access token; `url` is `https://<the pool's domain>/oauth2/token`. Raises TokenRefused."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise TokenRefused(f"{url!r} is not an http or https address")
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    headers = {
        "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    request = urllib.request.Request(url, urlencode(form).encode(), headers)
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            token = json.load(answer)["access_token"]
    except urllib.error.HTTPError as error:
        raise TokenRefused(f"{urlsplit(url).netloc} answered {error.code}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TokenRefused(f"no token from {urlsplit(url).netloc}: {type(error).__name__}") from error
    return str(token)

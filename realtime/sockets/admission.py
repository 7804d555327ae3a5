"""Who may watch: anybody while the board is public, else a caller with a valid access token.

A browser cannot add a header to a socket, and an address ends up in logs, so the token comes as a
subprotocol: `new WebSocket(url, ["scoreboard", token])`. The answer selects "scoreboard".
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from urllib.parse import urlparse

from channels.security.websocket import OriginValidator
from django.conf import settings

from realtime.events import NOT_FOUND, NOT_NOW, SOCKET_PATH, UNAUTHORIZED
from scores.identity.verifier import KeysUnavailable, TokenError, get_verifier
from scores.telemetry import security_events

PROTOCOL = "scoreboard"


@dataclasses.dataclass(frozen=True, slots=True)
class Admission:
    """Whether a new socket may watch.

    `refusal` is the code to close it with (None: it is let in), `protocol` the subprotocol to select,
    `lasts_s` the time (s) after which it must be closed with UNAUTHORIZED (None: it need not be).
    """

    refusal: int | None = None
    protocol: str | None = None
    lasts_s: float | None = None


def admit(path: str, offered: Sequence[str], address: str) -> Admission:
    """Decide about a socket at `path` that offers these subprotocols. Never blocks: it runs on the loop."""
    protocol = PROTOCOL if PROTOCOL in offered else None
    if path != SOCKET_PATH:
        return Admission(NOT_FOUND, protocol)
    if settings.SCOREBOARD_PUBLIC:
        return Admission(protocol=protocol)
    tokens = [each for each in offered if each != PROTOCOL]
    try:
        if protocol is None or len(tokens) != 1:
            raise TokenError("no token")
        caller = get_verifier().validate(tokens[0], wait_s=0)
    except TokenError as error:
        reason = str(error)
        security_events.refused(
            "unauthorized", path=SOCKET_PATH, status=UNAUTHORIZED, address=address, reason=reason
        )
        return Admission(UNAUTHORIZED, protocol)
    except KeysUnavailable:
        return Admission(NOT_NOW, protocol)
    return Admission(None, protocol, max(0.0, caller.expires_at - time.time()))


@functools.lru_cache(maxsize=256)
def origin_allowed(origin: str | None) -> bool:
    """Whether pages of this `Origin` may open a socket; None: the client sends none, so it is no browser."""
    if origin is None:
        return settings.SCOREBOARD_PUBLIC
    try:
        return bool(OriginValidator(None, settings.SCOREBOARD_ALLOWED_ORIGINS).valid_origin(urlparse(origin)))
    except ValueError:  # it is not a URL
        return False

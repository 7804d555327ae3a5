"""Tickets: the site's server signs that an action was completed, and the player's browser hands it in.

A ticket is a JWT, signed with HS256 and a key that the site and the scoreboard share. Its claims are
{sub, increment, jti, exp}, `aud` if the site names an audience, and no others (`iat`, which libraries add,
is ignored). `jti` is the idempotency key of the update, so a ticket counts once. `aud` names the service and
the board, so a ticket counts nowhere else. docs/tickets.md tells site owners how to make one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jwt
from django.conf import settings

from scores.rules.boards import DEFAULT_BOARD
from scores.rules.errors import TicketInvalid
from scores.rules.players import ID_PATTERN, ID_RULE, KEY_PATTERN

#: Shorter keys can be guessed (RFC 7518, section 3.2).
MIN_KEY_BYTES = 32
MAX_TICKET_CHARS = 2048
#: The service in an audience while SCOREBOARD_TICKET_AUDIENCE names none.
DEFAULT_SERVICE = "scoreboard"
_CLAIMS = {"sub", "increment", "jti", "exp"}
_OPTIONAL_CLAIMS = {"iat", "aud"}
_SIGNATURE_ONLY: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


@dataclasses.dataclass(frozen=True, slots=True)
class Ticket:
    """A verified ticket: `jti` is worth `increment` points to `user_id` until `expires_at` (s)."""

    user_id: str
    increment: int
    jti: str
    expires_at: int


def verify(text: str, keys: Mapping[str, str], board: str = DEFAULT_BOARD) -> Ticket:
    """The ticket in `text`, if one of `keys` (by key id) signed it for `board`; expired or not.

    Raises TicketInvalid.
    """
    claims = _signed_claims(text, keys)
    if set(claims) - _OPTIONAL_CLAIMS != _CLAIMS:
        raise TicketInvalid(
            "A ticket has the claims sub, increment, jti and exp, may have aud, and no others."
        )
    if not _matches(ID_PATTERN, claims["sub"]) or not _matches(KEY_PATTERN, claims["jti"]):
        raise TicketInvalid(f"The ticket's sub and jti must be {ID_RULE}")
    if type(claims["increment"]) is not int or type(claims["exp"]) is not int:
        raise TicketInvalid("The ticket's increment and exp must be integers.")
    _check_audience(claims, board)
    return Ticket(claims["sub"], claims["increment"], claims["jti"], claims["exp"])


def audience(board: str = DEFAULT_BOARD) -> str:
    """The `aud` of a ticket that counts on this service and this board only."""
    return f"{settings.SCOREBOARD_TICKET_AUDIENCE or DEFAULT_SERVICE}:{board}"


def sign(ticket: Ticket, kid: str, key: str, aud: str | None = None) -> str:
    """A ticket that `verify` accepts. For tests, and for sites that use this package."""
    claims: dict[str, Any] = {
        "sub": ticket.user_id,
        "increment": ticket.increment,
        "jti": ticket.jti,
        "exp": ticket.expires_at,
    }
    claims |= {"aud": aud} if aud is not None else {}
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": kid})


def _signed_claims(text: str, keys: Mapping[str, str]) -> dict[str, Any]:
    if len(text) > MAX_TICKET_CHARS:
        raise TicketInvalid
    try:
        header = jwt.get_unverified_header(text)
        kid = header.get("kid")
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None or header.get("alg") != "HS256" or "crit" in header:
            raise TicketInvalid
        return jwt.decode(text, key, algorithms=["HS256"], options=_SIGNATURE_ONLY)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise TicketInvalid from error


def _check_audience(claims: dict[str, Any], board: str) -> None:
    expected = audience(board)
    if "aud" not in claims:
        if settings.SCOREBOARD_TICKET_AUDIENCE:
            raise TicketInvalid(f"The ticket needs the claim aud: {expected!r}.")
        return
    named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if expected not in named:
        raise TicketInvalid(f"The ticket is for another service or board: its aud must be {expected!r}.")


def _matches(pattern: Any, value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None

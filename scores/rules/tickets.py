"""Tickets: the site's server signs that an action was completed, the player's browser hands it in.

A ticket is a JWT, signed with HS256 and a key that the site and the scoreboard share, with the claims
{sub, increment, jti, exp} and no others (`iat`, which libraries add, is ignored). `jti` is the
idempotency key of the update, so a ticket counts once.
docs/tickets.md tells site owners how to make one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jwt

from scores.rules.errors import TicketInvalid
from scores.rules.players import ID_PATTERN

#: Shorter keys can be guessed (RFC 7518, section 3.2).
MIN_KEY_BYTES = 32
MAX_TICKET_CHARS = 2048
_CLAIMS = {"sub", "increment", "jti", "exp"}
_SIGNATURE_ONLY: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


@dataclasses.dataclass(frozen=True, slots=True)
class Ticket:
    """What the site vouches for: `jti` is worth `increment` points to `user_id` until `expires_at` (s)."""

    user_id: str
    increment: int
    jti: str
    expires_at: int


def verify(text: str, keys: Mapping[str, str]) -> Ticket:
    """The ticket in `text`, if one of `keys` (by key id) signed it; expired or not.

    Raises TicketInvalid.
    """
    if len(text) > MAX_TICKET_CHARS:
        raise TicketInvalid
    try:
        header = jwt.get_unverified_header(text)
        kid = header.get("kid")
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None or header.get("alg") != "HS256" or "crit" in header:
            raise TicketInvalid
        claims = jwt.decode(text, key, algorithms=["HS256"], options=_SIGNATURE_ONLY)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise TicketInvalid from error
    if set(claims) - {"iat"} != _CLAIMS:
        raise TicketInvalid("A ticket has the claims sub, increment, jti and exp, and no others.")
    if not _is_id(claims["sub"]) or not _is_id(claims["jti"]):
        raise TicketInvalid("The ticket's sub and jti must be 1 to 128 characters of A-Z a-z 0-9 _ . : @ -")
    if type(claims["increment"]) is not int or type(claims["exp"]) is not int:
        raise TicketInvalid("The ticket's increment and exp must be integers.")
    return Ticket(claims["sub"], claims["increment"], claims["jti"], claims["exp"])


def sign(ticket: Ticket, kid: str, key: str) -> str:
    """What `verify` reads: for tests, and for sites whose server is Python with this package at hand."""
    claims = {
        "sub": ticket.user_id,
        "increment": ticket.increment,
        "jti": ticket.jti,
        "exp": ticket.expires_at,
    }
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": kid})


def _is_id(value: object) -> bool:
    return isinstance(value, str) and ID_PATTERN.fullmatch(value) is not None

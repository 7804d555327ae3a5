"""Entries of the ledger: their fields, their idempotency keys, and the check of a player's chain."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from scores.rules.players import KEY_PATTERN, Player

#: What programs send in place of a key that they have lost: it is the same for everybody.
_PLACEHOLDERS = frozenset(
    ("undefined", "null", "nil", "none", "nan", "infinity", "-infinity", "true", "false", "object", "string")
)


def is_placeholder(key: str) -> bool:
    """Whether a key is a value such as `undefined`, which a program sends by mistake for every update."""
    return key.lower() in _PLACEHOLDERS


def key_of_header(header: str) -> str | None:
    """The idempotency key in an `Idempotency-Key` header, without one pair of quotes; None: not a key."""
    if len(header) >= 2 and header[0] == header[-1] == '"':
        header = header[1:-1]
    return header if KEY_PATTERN.fullmatch(header) and not is_placeholder(header) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger: an accepted update or a moderation.

    `kind` is `update`, `ticket` (an update with a ticket) or the action of a moderation. `new_score` and
    `version` are those of the player after the entry. `previous_at` is the player's `reached_at` before it
    (0: none), `at` the time of the entry (ms), `expires_at` the time it may be deleted (s; None: never).
    """

    user_id: str
    entry_id: str
    kind: str
    increment: int
    new_score: int
    version: int
    at: int
    previous_at: int
    request_hash: str | None = None
    actor: str | None = None
    reason: str | None = None
    before: str | None = None
    after: str | None = None
    expires_at: int | None = None


def request_hash(user_id: str, increment: int) -> str:
    """SHA-256 of an update. A repeated idempotency key must come with the same hash."""
    return hashlib.sha256(f"{user_id}\n{increment}".encode()).hexdigest()


def chain_problem(entries: Iterable[Entry], player: Player, retention_ms: int, now: int) -> str | None:
    """The first break in a player's ledger, in words, or None when there is none.

    In the order of versions, each `new_score` is the previous one plus `increment`, and the last one is the
    player's score. Entries may be missing only when they can have expired: the entry before a gap was written
    at the `previous_at` of the entry after it.
    """
    version, score = 0, 0
    for entry in sorted(entries, key=lambda e: e.version):
        if entry.version == version:
            return f"version {version} is in the ledger twice"
        if entry.version > version + 1:
            if entry.previous_at + retention_ms > now:
                return f"version {version + 1} is missing before {entry.version} and cannot have expired"
        elif entry.new_score != score + entry.increment:
            return f"version {entry.version}: {score} {entry.increment:+d} is not {entry.new_score}"
        version, score = entry.version, entry.new_score
    if version < player.version and player.reached_at + retention_ms > now:
        return f"the player is at version {player.version}, the ledger at {version}"
    if version > player.version:
        return f"the ledger is at version {version}, the player at {player.version}"
    if version == player.version and score != player.score:
        return f"the ledger says {score}, the player {player.score}"
    return None

"""The rules: what a player is, who stands where, and what an update or a moderation does to a score.

Pure functions over immutable values. Imports nothing of ours and touches no store, so the model in
the tests, the services and the stores all share one definition of the order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

#: The default board. The tables have room for more (seasons) in the sort key.
BOARD_ID = "SCOREBOARD"
#: Rows on the visible board.
BOARD_SIZE = 10
#: Scores are exact in JavaScript, Lua and DynamoDB alike up to here.
MAX_SCORE = 2**53 - 1
#: Instants (ms) are written as their distance to this, so that "earlier" sorts as "greater".
MAX_MS = 10**15 - 1

ID_PATTERN = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")


def key_of_header(header: str) -> str | None:
    """The idempotency key in an `Idempotency-Key` header, without one pair of quotes; None when it is odd."""
    if len(header) >= 2 and header[0] == header[-1] == '"':
        header = header[1:-1]
    return header if ID_PATTERN.fullmatch(header) else None


class State(StrEnum):
    """What a moderator, or a rule, has made of a player. Only active players are on the board."""

    ACTIVE = "active"
    HIDDEN = "hidden"
    HELD = "held"
    BANNED = "banned"
    ERASED = "erased"


class Action(StrEnum):
    """The moderation actions."""

    ADJUST = "adjust"
    RENAME = "rename"
    HIDE = "hide"
    UNHIDE = "unhide"
    BAN = "ban"
    UNBAN = "unban"
    ERASE = "erase"


class RuleError(ValueError):
    """A rule forbids the change; the text says which, in words for the person who asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Player:
    """A user with a score on one board.

    `version` counts the player's ledger entries (0: not in the table yet), `reached_at` is when the
    score was reached (ms since 1970), `banned_until` the end of a ban (ms; None: for good).
    """

    user_id: str
    score: int = 0
    version: int = 0
    reached_at: int = 0
    name: str | None = None
    state: State = State.ACTIVE
    banned_until: int | None = None

    @property
    def visible(self) -> bool:
        # Nobody gets on the board without points, by choosing a name for instance.
        return self.state is State.ACTIVE and self.score > 0

    @property
    def member(self) -> str:
        """The tie-break: of equal scores the earlier one, then the greater id, sorts higher."""
        return f"{MAX_MS - self.reached_at:015d}#{self.user_id}"

    @property
    def rank_key(self) -> str:
        """Read backwards (descending), these keys are the total order of the board."""
        return f"{self.score:016d}#{self.member}"

    def contends(self, floor: int) -> bool:
        """Whether the player belongs in the sparse index when `floor` is in force."""
        return self.visible and self.score >= floor

    def is_banned(self, now: int) -> bool:
        return self.state is State.BANNED and (self.banned_until is None or self.banned_until > now)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: an accepted update or a moderation.

    `kind` is `update`, `ticket` (an update with a ticket) or a moderation's action. `new_score` and
    `version` are the player's after it, `previous_at` is the `reached_at` before it (0: none), `at` the
    time of the entry (ms), `expires_at` when it may be forgotten (s; None: never).
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


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the board."""

    rank: int
    user_id: str
    name: str | None
    score: int

    def to_dict(self) -> dict[str, Any]:
        return {"rank": self.rank, "userId": self.user_id, "name": self.name, "score": self.score}


@dataclasses.dataclass(frozen=True, slots=True)
class Board:
    """The visible Top 10 at one moment.

    `revision` only grows as a viewer sees it, `as_of` is when this was known to be true (ms).
    `from_index`: the ranking was not there to ask. `stale`: no store was, this is the last board known.
    """

    rows: tuple[Row, ...]
    revision: int
    as_of: int
    from_index: bool = False
    stale: bool = False

    @property
    def as_of_text(self) -> str:
        return datetime.fromtimestamp(self.as_of / 1000, UTC).isoformat(timespec="milliseconds")[:23] + "Z"

    def top10(self) -> list[dict[str, Any]]:
        return [row.to_dict() for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {"revision": self.revision, "asOf": self.as_of_text, "top10": self.top10()}
        return body | {"stale": True} if self.stale else body


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """One player's place: `rank` and `total` are None until the ranking is known to be complete."""

    user_id: str
    score: int
    rank: int | None
    total: int | None
    points_to_top10: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "userId": self.user_id,
            "score": self.score,
            "rank": self.rank,
            "total": self.total,
            "pointsToTop10": self.points_to_top10,
        }


def in_order(players: Iterable[Player]) -> list[Player]:
    """The visible ones of `players`, best first."""
    return sorted((p for p in players if p.visible), key=lambda p: p.rank_key, reverse=True)


def rows_of(players: Iterable[Player]) -> tuple[Row, ...]:
    """The board that `players` make."""
    top = in_order(players)[:BOARD_SIZE]
    return tuple(Row(rank, p.user_id, p.name, p.score) for rank, p in enumerate(top, start=1))


def points_to_top10(score: int, rows: tuple[Row, ...], user_id: str) -> int:
    """Points that `user_id` misses to pass the tenth; 0 on the board or while it has room."""
    if len(rows) < BOARD_SIZE or any(row.user_id == user_id for row in rows):
        return 0
    return max(0, rows[-1].score - score + 1)


def request_hash(user_id: str, increment: int) -> str:
    """SHA-256 of what an idempotency key stands for: the same key must mean the same update."""
    return hashlib.sha256(f"{user_id}\n{increment}".encode()).hexdigest()


def increased(player: Player, increment: int, at: int) -> Player:
    """`player` after an update at `at` (ms).

    Hidden and held players go on counting; an ended ban and an erased player become active.

    Raises RuleError above MAX_SCORE. Whether a ban is still on is the caller's question (`is_banned`).
    """
    score = player.score + increment
    if score > MAX_SCORE:
        raise RuleError(f"the score would exceed {MAX_SCORE}")
    state = State.ACTIVE if player.state in (State.BANNED, State.ERASED) else player.state
    return dataclasses.replace(
        player, score=score, version=player.version + 1, reached_at=at, state=state, banned_until=None
    )


_FROM = {
    Action.HIDE: {State.ACTIVE, State.HELD},
    Action.UNHIDE: {State.HIDDEN, State.HELD},
    Action.BAN: {State.ACTIVE, State.HIDDEN, State.HELD, State.BANNED},
    Action.UNBAN: {State.BANNED},
    Action.ADJUST: set(State) - {State.ERASED},
    Action.RENAME: set(State) - {State.ERASED},
    Action.ERASE: set(State) - {State.ERASED},
}


def possible_actions(state: State) -> list[Action]:
    """What a moderator can do about a player in this state."""
    return [action for action in Action if state in _FROM[action]]


def moderated(
    player: Player,
    action: Action,
    at: int,
    *,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> Player:
    """`player` after a moderation at `at` (ms): `amount` for adjust, `name` for rename, `until` for ban.

    Raises RuleError when the action does not fit the player's state, would change nothing, or the score
    would leave 0 … MAX_SCORE.
    """
    if player.state not in _FROM[action]:
        raise RuleError(f"cannot {action} a player who is {player.state}")
    changed = dataclasses.replace(player, version=player.version + 1)
    match action:
        case Action.ADJUST:
            if amount == 0:
                raise RuleError("the amount must not be 0")
            if not 0 <= player.score + amount <= MAX_SCORE:
                raise RuleError(f"the score would leave 0 … {MAX_SCORE}")
            return dataclasses.replace(changed, score=player.score + amount, reached_at=at)
        case Action.RENAME:
            if player.name == name:
                raise RuleError("the player is called that already")
            return dataclasses.replace(changed, name=name)
        case Action.HIDE:
            return dataclasses.replace(changed, state=State.HIDDEN)
        case Action.BAN:
            if until is not None and until <= at:
                raise RuleError("a ban must end in the future")
            return dataclasses.replace(changed, state=State.BANNED, banned_until=until)
        case Action.UNHIDE | Action.UNBAN:
            return dataclasses.replace(changed, state=State.ACTIVE, banned_until=None)
        case Action.ERASE:
            return dataclasses.replace(changed, score=0, name=None, state=State.ERASED, banned_until=None)


def chain_problem(entries: Iterable[Entry], player: Player, retention_ms: int, now: int) -> str | None:
    """The first break in a player's ledger, in words, or None when the chain is whole.

    The chain goes by version: each `new_score` is the previous one plus `increment`, the last equals
    the player's. Entries may be missing only where they can have expired: the entry before a gap was
    written at the `previous_at` of the entry behind it.
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

"""Players: their ids, their order on a board, and what an update does to a score.

Pure functions over immutable values. Imports nothing of ours. The stores, the API and the model in the tests
share this one definition of the order.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from enum import StrEnum

#: Scores are exact in JavaScript, Lua and DynamoDB alike up to here.
MAX_SCORE = 2**53 - 1
#: Instants (ms) are written as their distance to this, so that "earlier" sorts as "greater".
MAX_MS = 10**15 - 1

#: What an id or an idempotency key must be, in words.
ID_RULE = "1 to 128 characters of A-Z a-z 0-9 _ . : @ -"
KEY_PATTERN = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")
#: A user id. "." and ".." are folders in an address, so no page of theirs could be opened.
ID_PATTERN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:@-]{1,128}")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.:@-]")


def id_problem(text: object) -> str | None:
    """The rule that `text` breaks as a user id, to be put behind "must be"; None when it is one."""
    if not isinstance(text, str):
        return f"a string of {ID_RULE}"
    if ID_PATTERN.fullmatch(text):
        return None
    if text in (".", ".."):
        return f"{ID_RULE}, but not . or .., which mean folders in an address"
    if odd := _NOT_IN_IDS.search(text, 0, 128):
        hint = ": write : instead" if odd[0] == "|" else ""
        return f"{ID_RULE}; {odd[0]!a} is none of them{hint}"
    return f"{ID_RULE}; this one has {len(text)}"


class State(StrEnum):
    """The state of a player. Only active players are on the board."""

    ACTIVE = "active"
    HIDDEN = "hidden"
    HELD = "held"
    BANNED = "banned"
    ERASED = "erased"


class RuleError(ValueError):
    """A rule forbids the change. The text names the rule, for the person who asked for the change."""


@dataclasses.dataclass(frozen=True, slots=True)
class Player:
    """A user with a score on one board.

    `version` counts the player's ledger entries (0: not in the table yet). `reached_at` is when the player
    reached the score (ms since 1970). `banned_until` is the end of a ban (ms; None: it does not end).
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
        # A new name makes a player without points; such a player stays off the board.
        return self.state is State.ACTIVE and self.score > 0

    @property
    def member(self) -> str:
        """The tie-break. Of two equal scores the earlier one sorts higher, then the greater id."""
        return f"{MAX_MS - self.reached_at:015d}#{self.user_id}"

    @property
    def rank_key(self) -> str:
        """The key of the total order: the best player has the greatest key."""
        return f"{self.score:016d}#{self.member}"

    def contends(self, floor: int) -> bool:
        """Whether the player belongs in the sparse index at this `floor`."""
        return self.visible and self.score >= floor

    def is_banned(self, now: int) -> bool:
        return self.state is State.BANNED and (self.banned_until is None or self.banned_until > now)


def in_order(players: Iterable[Player]) -> list[Player]:
    """The visible players, best first."""
    return sorted((p for p in players if p.visible), key=lambda p: p.rank_key, reverse=True)


def increased(player: Player, increment: int, at: int) -> Player:
    """`player` after an update at `at` (ms).

    Hidden and held players keep their state. Erased players, and banned ones whose ban has ended, become
    active. Raises RuleError above MAX_SCORE. The caller checks `is_banned` first.
    """
    score = player.score + increment
    if score > MAX_SCORE:
        raise RuleError(f"the score would exceed {MAX_SCORE}")
    state = State.ACTIVE if player.state in (State.BANNED, State.ERASED) else player.state
    return dataclasses.replace(
        player, score=score, version=player.version + 1, reached_at=at, state=state, banned_until=None
    )

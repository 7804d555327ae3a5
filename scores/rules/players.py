"""Players: their order, and what an update does to a score.

Pure functions over immutable values. Imports nothing of ours, so the stores, the API and the model in the
tests share one definition of the order.
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

ID_PATTERN = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")


class State(StrEnum):
    """What a moderator, or a rule, has made of a player. Only active players are on the board."""

    ACTIVE = "active"
    HIDDEN = "hidden"
    HELD = "held"
    BANNED = "banned"
    ERASED = "erased"


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


def in_order(players: Iterable[Player]) -> list[Player]:
    """The visible ones of `players`, best first."""
    return sorted((p for p in players if p.visible), key=lambda p: p.rank_key, reverse=True)


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

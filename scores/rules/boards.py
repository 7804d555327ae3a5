"""A board: its rows, its size, and the points a player needs to reach it. Imports players only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from scores.rules.players import Player, in_order

#: The default board.
DEFAULT_BOARD = "SCOREBOARD"
#: Rows on the visible board.
BOARD_SIZE = 10


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

    A viewer sees `revision` only grow. `as_of` is the time at which the board was read (ms). `from_index` is
    set when the ranking did not answer, `stale` when no store did and this is the last known board.
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
    """One player's place. `rank` and `total` are None until the ranking is complete."""

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


def rows_of(players: Iterable[Player]) -> tuple[Row, ...]:
    """The rows of the best of `players`."""
    top = in_order(players)[:BOARD_SIZE]
    return tuple(Row(rank, p.user_id, p.name, p.score) for rank, p in enumerate(top, start=1))


def points_to_top10(score: int, rows: tuple[Row, ...], user_id: str) -> int:
    """Points that `user_id` needs to pass the tenth player; 0 on the board or while it has room."""
    if len(rows) < BOARD_SIZE or any(row.user_id == user_id for row in rows):
        return 0
    return max(0, rows[-1].score - score + 1)

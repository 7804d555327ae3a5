"""The board as text for the page. static/scoreboard/format.js makes the same text in the browser.

Pure: names are untrusted here, and stay text.
"""

from __future__ import annotations

import dataclasses

from scores.rules.boards import Board, Row
from scores.rules.names import label

#: Number of patterns; the id of a player decides which one is drawn.
SILKS = 48


@dataclasses.dataclass(frozen=True, slots=True)
class PageRow:
    """A row as the template draws it."""

    rank: int
    user_id: str
    name: str | None
    label: str
    title: str
    silk: int
    score: int
    score_text: str


def page_rows(board: Board) -> list[PageRow]:
    return [_page_row(row) for row in board.rows]


def _page_row(row: Row) -> PageRow:
    return PageRow(
        rank=row.rank,
        user_id=row.user_id,
        name=row.name,
        label=label(row.user_id, row.name),
        title=row.user_id if row.name is None else f"{row.name} ({row.user_id})",
        silk=silk(row.user_id),
        score=row.score,
        score_text=f"{row.score:,}",
    )


def silk(user_id: str) -> int:
    """Number of the player's pattern: FNV-1a of the id."""
    digest = 0x811C9DC5
    for byte in user_id.encode():
        digest = (digest ^ byte) * 0x01000193 & 0xFFFFFFFF
    return digest % SILKS

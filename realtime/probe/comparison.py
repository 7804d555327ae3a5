"""Whether what viewers see is what the table says: the comparison behind the board-truth probe.

A board may rightly differ from the table for as long as a change is on its way, and on a busy board some
change always is. So each player is watched by itself: it counts as wrong from the first look at the table
that disagrees with what has been shown since before that look, until either of the two agrees or moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from scores.rules.boards import Row

#: What a board says of one player: rank, name, score. None: that it is not there.
Place = tuple[int, str | None, int] | None


@dataclasses.dataclass(slots=True)
class _Watched:
    """One player as it is shown, and since when the table has said something else (s; None: it has not)."""

    shown: Place
    differs_since: float | None = None


class Comparison:
    """Compares boards from a socket with looks at the table. All times in s of one clock."""

    def __init__(self) -> None:
        self._shown: dict[str, Place] = {}
        self._table: dict[str, Place] = {}
        self._watched: dict[str, _Watched] = {}

    @property
    def user_ids(self) -> list[str]:
        """Who is on the board as it is shown."""
        return list(self._shown)

    def shows(self, rows: Iterable[Row]) -> None:
        """A board has come in. What it says anew of a player is given the benefit of the doubt."""
        self._shown = _places(rows)
        for user_id, watched in self._watched.items():
            shown = self._shown.get(user_id)
            if shown != watched.shown:
                self._watched[user_id] = _Watched(shown)

    def says(self, rows: Iterable[Row], looked_at: float) -> None:
        """The table was read, beginning at `looked_at`."""
        self._table = _places(rows)
        watched = {}
        for user_id in self._shown | self._table:
            shown = self._shown.get(user_id)
            before = self._watched.get(user_id, _Watched(shown))
            if shown != self._table.get(user_id):
                since = looked_at if before.differs_since is None else before.differs_since
                watched[user_id] = _Watched(shown, since)
        self._watched = watched

    def age(self, now: float) -> float:
        """For how long the board has been wrong, about whom it is wrong for longest; 0: it is not."""
        since = [each.differs_since for each in self._watched.values() if each.differs_since is not None]
        return now - min(since) if since else 0.0

    def differences(self) -> list[str]:
        """In words, what is shown and what the table says of each player that they differ about."""
        return [
            f"{user_id}: shown {_words(watched.shown)}, in the table {_words(self._table.get(user_id))}"
            for user_id, watched in sorted(self._watched.items())
            if watched.differs_since is not None
        ]


def _places(rows: Iterable[Row]) -> dict[str, Place]:
    return {row.user_id: (row.rank, row.name, row.score) for row in rows}


def _words(place: Place) -> str:
    return f"rank {place[0]} with {place[2]} points" if place else "not on the board"

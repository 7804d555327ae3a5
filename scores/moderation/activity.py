"""What a player's ledger says to who has to judge it: a few figures, a curve, what a moderation changed.

Pure functions over ledger entries; imports the rules only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from scores.rules.entries import Entry

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
#: A curve has at most this many steps; more would not be seen.
CURVE_STEPS = 240


@dataclasses.dataclass(frozen=True, slots=True)
class Signals:
    """Updates in the last minute, hour and day, the largest increment, and points by where they are from."""

    last_minute: int
    last_hour: int
    last_day: int
    largest: int
    plain_points: int
    ticket_points: int

    @property
    def ticket_share(self) -> int | None:
        """Share of the points that came with tickets (%), rounded; None without points."""
        points = self.plain_points + self.ticket_points
        return round(100 * self.ticket_points / points) if points else None

    @property
    def plain_share(self) -> int | None:
        """The rest (%)."""
        return None if self.ticket_share is None else 100 - self.ticket_share


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """The score over time as the path of an SVG; the score goes from 0 to `highest`, time (ms) as given."""

    path: str
    highest: int
    start: int
    end: int


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.version, reverse=True)


def signals(entries: Iterable[Entry], now: int) -> Signals:
    """The signals as of `now` (ms). Moderations do not count."""
    updates = [entry for entry in entries if entry.actor is None]

    def since(span: int) -> int:
        return sum(entry.at > now - span for entry in updates)

    def points(kind: str) -> int:
        return sum(entry.increment for entry in updates if entry.kind == kind)

    return Signals(
        last_minute=since(MINUTE_MS),
        last_hour=since(HOUR_MS),
        last_day=since(DAY_MS),
        largest=max((entry.increment for entry in updates), default=0),
        plain_points=points("update"),
        ticket_points=points("ticket"),
    )


def curve(entries: Sequence[Entry], now: int, width: int, height: int) -> Curve | None:
    """The score from the first entry to `now` (ms), `width` by `height`; None without entries."""
    if not entries:
        return None
    line = sorted(entries, key=lambda entry: entry.version)
    times = [entry.at for entry in line]  # clocks of processes differ: not always in this order
    start = min(times)
    end = max(now, max(times), start + 1)
    highest = max(1, *(entry.new_score for entry in line))
    kept = {len(line) - 1 - len(line) * step // CURVE_STEPS for step in range(CURVE_STEPS)} | {0}
    before = line[0].new_score - line[0].increment
    path = [f"M0 {_y(before, highest, height)}"]
    for place in sorted(kept & set(range(len(line)))):
        entry = line[place]
        x = round((entry.at - start) / (end - start) * width, 1)
        path.append(f"H{x:g}V{_y(entry.new_score, highest, height)}")
    return Curve("".join([*path, f"H{width}"]), highest, start, end)


def _y(score: int, highest: int, height: int) -> str:
    return f"{round(height * (1 - score / highest), 1):g}"


def changes(before: str | None, after: str | None) -> list[tuple[str, Any, Any]]:
    """(what, before, after) for each thing that a moderation changed, from the two texts in its entry."""
    try:
        old, new = json.loads(before or "{}"), json.loads(after or "{}")
    except ValueError:
        return []
    return [(name, old.get(name), new.get(name)) for name in new if old.get(name) != new.get(name)]

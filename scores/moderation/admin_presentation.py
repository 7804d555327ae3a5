"""Turns players, ledgers and boards into the texts of the admin site's templates. Pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from scores.moderation.activity import changes
from scores.rules.actions import Action
from scores.rules.boards import Row
from scores.rules.entries import Entry
from scores.rules.names import label
from scores.rules.players import Player, State

_KINDS = {"update": "update", "ticket": "update with a ticket"}
_THINGS = {"score": "score", "name": "name", "state": "state", "bannedUntil": "banned until"}
_DONE = {
    Action.ADJUST: "The score of {} is now {}.",
    Action.RENAME: "{} has the new name.",
    Action.HIDE: "{} is hidden.",
    Action.UNHIDE: "{} is visible again.",
    Action.BAN: "{} is banned.",
    Action.UNBAN: "{} is no longer banned.",
    Action.ERASE: "{} is erased.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class PlayerLine:
    """A player in a list."""

    player: Player
    rank: int | None
    label: str
    score: str
    state: str
    updated: str


@dataclasses.dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry of the ledger. `changes` are the (field, before, after) of a moderation."""

    at: str
    kind: str
    increment: str
    score: str
    version: int
    actor: str | None
    reason: str | None
    changes: list[tuple[str, str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class BoardLine:
    """A row of a board. `mark` says how it differs from the other board ('': not at all)."""

    rank: int
    label: str
    score: str
    mark: str


def when(ms: int | None) -> str:
    """A time (ms) in UTC, to the second, or '–' for None."""
    if not ms:
        return "–"
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def name_of(player: Player) -> str:
    return label(player.user_id, player.name)


def state_of(player: Player, now: int) -> str:
    """The state in words, with the end of a ban. A ban whose end is past is over."""
    if player.state is not State.BANNED or player.banned_until is None:
        return player.state.value
    return f"banned until {when(player.banned_until)}" if player.is_banned(now) else "ban ended"


def sentence(error: Exception) -> str:
    """The text of a refusal as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def done(action: Action, player: Player) -> str:
    """The message to the moderator after an action."""
    return _DONE[action].format(name_of(player), f"{player.score:,}")


def player_lines(players: Sequence[Player], first_rank: int | None, now: int) -> list[PlayerLine]:
    """The lines of a list. Visible players get ranks from `first_rank` on, if it is given."""
    lines = []
    rank = first_rank
    for player in players:
        lines.append(
            PlayerLine(
                player,
                rank if player.visible else None,
                name_of(player),
                f"{player.score:,}",
                state_of(player, now),
                when(player.reached_at),
            )
        )
        rank = None if rank is None else rank + 1
    return lines


def entry_line(entry: Entry) -> EntryLine:
    return EntryLine(
        when(entry.at),
        _KINDS.get(entry.kind, entry.kind),
        f"{entry.increment:+,}" if entry.increment else "",
        f"{entry.new_score:,}",
        entry.version,
        entry.actor,
        entry.reason,
        [
            (_THINGS.get(what, what), _value(what, old), _value(what, new))
            for what, old, new in changes(entry.before, entry.after)
        ],
    )


def board_lines(now: Sequence[Row], after: Sequence[Row]) -> tuple[list[BoardLine], list[BoardLine]]:
    """Both boards, with marks on the rows that differ."""
    before = {row.user_id: row for row in now}
    then = {row.user_id: row for row in after}
    leaving = [_board_line(row, "" if row.user_id in then else "leaves") for row in now]
    return leaving, [_board_line(row, _mark(before.get(row.user_id), row)) for row in after]


def _mark(before: Row | None, after: Row) -> str:
    if before is None:
        return "new"
    if before.rank != after.rank:
        return f"{'▲' if after.rank < before.rank else '▼'}{abs(after.rank - before.rank)}"
    return "changed" if before != after else ""


def _board_line(row: Row, mark: str) -> BoardLine:
    return BoardLine(row.rank, label(row.user_id, row.name), f"{row.score:,}", mark)


def _value(what: str, value: Any) -> str:
    if value is None:
        return "none"
    if what == "bannedUntil":
        return f"{when(int(value))} UTC"
    return f"{value:,}" if isinstance(value, int) else str(value)

"""Between the items of the tables and the values of the rules."""

from __future__ import annotations

from typing import Any

from scores.rules.entries import Entry
from scores.rules.players import MAX_MS, Player, State
from scores.stores.tables import SCHEMA, LedgerEntry, UserScore


def player_of(item: UserScore) -> Player:
    return Player(
        user_id=item.user_id,
        score=int(item.score),
        version=int(item.version),
        reached_at=int(item.reached_at),
        name=item.name,
        state=State(item.state),
        banned_until=None if item.banned_until is None else int(item.banned_until),
    )


def player_actions(player: Player, board_id: str, floor: int) -> list[Any]:
    """What an UpdateItem sets and removes to store `player`, in the index if it contends at `floor`."""
    until = MAX_MS if player.banned_until is None else player.banned_until
    flagged = player.state is not State.ACTIVE
    values: list[tuple[Any, Any]] = [
        (UserScore.score, player.score),
        (UserScore.version, player.version),
        (UserScore.reached_at, player.reached_at),
        (UserScore.rank_key, player.rank_key),
        (UserScore.state, player.state.value),
        (UserScore.schema, SCHEMA),
        (UserScore.name, player.name),
        (UserScore.banned_until, player.banned_until),
        (UserScore.contender, board_id if player.contends(floor) else None),
        (UserScore.flag, player.state.value if flagged else None),
        (UserScore.flag_until, f"{until:015d}#{player.user_id}" if flagged else None),
    ]
    return set_or_remove(values)


def set_or_remove(values: list[tuple[Any, Any]]) -> list[Any]:
    """UpdateItem actions for (attribute, value) pairs; None removes the attribute."""
    return [attribute.remove() if value is None else attribute.set(value) for attribute, value in values]


_ENTRY_FIELDS = tuple(Entry.__dataclass_fields__)
_ENTRY_NUMBERS = {"increment", "new_score", "version", "at", "previous_at", "expires_at"}


def ledger_item(entry: Entry) -> LedgerEntry:
    return LedgerEntry(**{field: getattr(entry, field) for field in _ENTRY_FIELDS})


def entry_of_raw(raw: dict[str, Any]) -> Entry:
    """An entry from an item as DynamoDB returns it."""
    return entry_of(LedgerEntry.from_raw_data(raw))


def entry_of(item: LedgerEntry) -> Entry:
    values: dict[str, Any] = {field: getattr(item, field) for field in _ENTRY_FIELDS}
    for field in _ENTRY_NUMBERS:
        if values[field] is not None:
            values[field] = int(values[field])
    return Entry(**values)

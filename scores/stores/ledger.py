"""The record of moderation: reading it, and sweeping personal data out of it when a player is erased.

Entries are written by repository.commit; `replace` is the only way in which one changes. An erased player
has a mark until the sweep is done, so whatever dies in between, somebody else finds it
(scores.upkeep.erasures).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from pynamodb.exceptions import DeleteError

from scores.rules.audit_trail import PREFIX
from scores.rules.entries import Entry
from scores.rules.errors import Unavailable
from scores.rules.players import MAX_MS
from scores.stores import dynamodb
from scores.stores.repository import entry_of
from scores.stores.tables import Erasure, LedgerEntry


def scan(
    *,
    since: int = 0,
    until: int = MAX_MS,
    actor: str | None = None,
    user_id: str | None = None,
    after: tuple[str, str] | None = None,
    page_size: int = 1000,
) -> Iterator[tuple[int, list[Entry]]]:
    """All moderation entries from `since` to before `until` (ms), read consistently, page by page.

    Yields (entries looked at so far, those that match). The order is the table's own and stays the same;
    `after` (user id, entry id) is where an earlier scan has ended. With `user_id` only that player's
    ledger is read.

    Raises Unavailable or Throttled.
    """
    condition = LedgerEntry.actor.exists() & LedgerEntry.at.between(since, until - 1)
    if actor is not None:
        condition &= LedgerEntry.actor == actor
    options: dict[str, Any] = {"page_size": page_size, "consistent_read": True}
    if after is not None:
        options["last_evaluated_key"] = _key(*after)
    if user_id is not None:
        ids = LedgerEntry.entry_id.startswith(PREFIX)
        pages = LedgerEntry.query(user_id, ids, condition, **options).page_iter
    else:
        pages = LedgerEntry.scan(condition, **options).page_iter
    for page in dynamodb.translating(pages):
        yield pages.total_scanned_count, [entry_of(item) for item in page["Items"]]


def moderations(user_id: str, after: str | None, count: int) -> list[Entry]:
    """The next `count` moderations of a player, by entry id, behind the id `after`; fewer at the end.

    Raises Unavailable or Throttled.
    """

    def page() -> list[dict[str, Any]]:
        ids = LedgerEntry.entry_id.startswith(PREFIX)
        start = None if after is None else _key(user_id, after)
        found = LedgerEntry.query(
            user_id, ids, consistent_read=True, page_size=count, last_evaluated_key=start
        )
        items: list[dict[str, Any]] = next(found.page_iter)["Items"]
        return items

    return [entry_of(item) for item in dynamodb.read(page)]


def _key(user_id: str, entry_id: str) -> dict[str, dict[str, Any]]:
    return {"userId": {"S": user_id}, "entryId": {"S": entry_id}}


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A player to be swept up to the version `up_to`; entries up to the id `after` have been."""

    user_id: str
    up_to: int
    after: str | None = None


def marks(count: int) -> list[Mark]:
    """At most `count` marks, by user id, read consistently. Raises Unavailable or Throttled."""
    items = dynamodb.read(lambda: Erasure.query("#erasures", consistent_read=True, limit=count))
    return [Mark(item.user_id, int(item.up_to), item.after) for item in items]


def replace(entry: Entry) -> None:
    """Write what records.without_personal_data has left of an entry. Raises Unavailable or Throttled."""
    actions = [
        attribute.remove() if value is None else attribute.set(value)
        for attribute, value in (
            (LedgerEntry.actor, entry.actor),
            (LedgerEntry.reason, entry.reason),
            (LedgerEntry.before, entry.before),
            (LedgerEntry.after, entry.after),
        )
    ]
    item = LedgerEntry(entry.user_id, entry.entry_id)
    dynamodb.update(item, actions, LedgerEntry.entry_id.exists())


def advance(mark: Mark, after: str) -> Mark | None:
    """Note that entries up to the id `after` are done; None: the mark is gone, or is of a later erasure.

    Raises Unavailable or Throttled.
    """
    item = Erasure(user_id=mark.user_id)
    if dynamodb.update(item, [Erasure.after.set(after)], Erasure.up_to == mark.up_to):
        return dataclasses.replace(mark, after=after)
    return None


def settle(mark: Mark) -> None:
    """Take the mark away, unless it is of a later erasure. Raises Unavailable or Throttled."""
    try:
        Erasure(user_id=mark.user_id).delete(condition=Erasure.up_to == mark.up_to)
    except DeleteError as error:
        if dynamodb.code(error) != "ConditionalCheckFailedException":
            raise dynamodb.translated(error, Unavailable) from error

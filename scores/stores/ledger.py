"""The ledger in DynamoDB: reading it, and taking personal data out of it when a player is erased.

PlayerTable.commit writes entries. Only `replace` changes one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from scores.rules.audit_trail import PREFIX
from scores.rules.entries import Entry
from scores.rules.players import MAX_MS
from scores.stores import dynamodb
from scores.stores.items import entry_of, entry_of_raw, set_or_remove
from scores.stores.tables import LedgerEntry


def read_entry(user_id: str, entry_id: str) -> Entry | None:
    """Raises Unavailable or Throttled."""
    item = dynamodb.get(LedgerEntry, user_id, entry_id)
    return entry_of(item) if item else None


def read_all(user_id: str) -> list[Entry]:
    """All entries of a player, in no order. Raises Unavailable or Throttled."""
    return [
        entry_of(item) for item in dynamodb.read(lambda: LedgerEntry.query(user_id, consistent_read=True))
    ]


def read_latest(user_id: str, most: int) -> tuple[list[Entry], bool]:
    """(entries, whether there are more): at most `most` updates and at most `most` moderations, in no order.

    The key of an update has no order in time, so of more than `most` updates it returns any. Raises
    Unavailable or Throttled.
    """
    query = functools.partial(LedgerEntry.query, user_id, consistent_read=True, limit=most + 1)
    found = [entry_of(item) for item in dynamodb.read(query)]
    if len(found) <= most:
        return found, False
    known = {entry.entry_id: entry for entry in found[:most]}
    known.update((entry.entry_id, entry) for entry in read_moderations(user_id, most))
    return list(known.values()), True


def read_moderations(user_id: str, most: int | None = None) -> list[Entry]:
    """The moderations of a player, in no order. Raises Unavailable or Throttled."""
    condition = LedgerEntry.entry_id.startswith(PREFIX)
    query = functools.partial(LedgerEntry.query, user_id, condition, consistent_read=True, limit=most)
    return [entry_of(item) for item in dynamodb.read(query)]


def scan_user_ids() -> Iterator[str]:
    """The user id of every entry, with repeats. Raises Unavailable or Throttled."""
    for item in dynamodb.translating(LedgerEntry.scan(attributes_to_get=["userId"], consistent_read=True)):
        yield item.user_id


def scan_moderations(
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
        yield pages.total_scanned_count, [entry_of_raw(item) for item in page["Items"]]


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

    return [entry_of_raw(item) for item in dynamodb.read(page)]


def _key(user_id: str, entry_id: str) -> dict[str, dict[str, Any]]:
    return {"userId": {"S": user_id}, "entryId": {"S": entry_id}}


def replace(entry: Entry) -> None:
    """Write what audit_trail.without_personal_data has left of an entry. Raises Unavailable or Throttled."""
    actions = set_or_remove(
        [
            (LedgerEntry.actor, entry.actor),
            (LedgerEntry.reason, entry.reason),
            (LedgerEntry.before, entry.before),
            (LedgerEntry.after, entry.after),
        ]
    )
    item = LedgerEntry(entry.user_id, entry.entry_id)
    dynamodb.update(item, actions, LedgerEntry.entry_id.exists())

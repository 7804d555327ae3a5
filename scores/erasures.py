"""The marks of erased players whose ledger is still to be swept, and the one way in which entries change.

The only place, next to scores.repository, that calls PynamoDB. A mark lives until its sweep is done, so
whatever dies in between, somebody else finds it (scores.upkeep).
"""

from __future__ import annotations

import dataclasses

from pynamodb.exceptions import DeleteError

from scores import dynamodb
from scores.errors import Unavailable
from scores.models import Erasure, LedgerEntry
from scores.scoring import Entry


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

"""Marks of erased players whose ledger still holds personal data.

The transaction that erases a player writes the mark, and the sweep (scores.upkeep.erasures) removes it when
it is done. So another process finishes a sweep whose process died.
"""

from __future__ import annotations

import dataclasses

from pynamodb.exceptions import DeleteError

from scores.rules.errors import Unavailable
from scores.stores import dynamodb
from scores.stores.tables import Erasure


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

"""The DynamoDB tables as PynamoDB models. Only this room uses them.

    UserScores    one item per player and board, sparse indexes TopScores and Flagged
    ScoreLedger   one item per accepted update or moderation

Timeouts are short and the SDK does not retry: a blind retry by the SDK cannot be told from a first
try, so the write protocol decides about retries (scores/board/write_protocol.py).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

#: Version of the layout of the items.
SCHEMA = 1

CONNECT_TIMEOUT_S = 0.3
READ_TIMEOUT_S = 0.8


class _Meta:
    """What both tables share: where they are and how patiently they are asked."""

    region = settings.DYNAMODB_REGION
    host = settings.DYNAMODB_ENDPOINT_URL
    aws_access_key_id = settings.DYNAMODB_ACCESS_KEY_ID
    aws_secret_access_key = settings.DYNAMODB_SECRET_ACCESS_KEY
    billing_mode = "PAY_PER_REQUEST"
    connect_timeout_seconds = CONNECT_TIMEOUT_S
    read_timeout_seconds = READ_TIMEOUT_S
    max_retry_attempts = 0
    max_pool_connections = settings.SCOREBOARD_MAX_CONNECTIONS


class TopScores(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Players in contention, by rank key; a superset of the top 200, never the truth about one player."""

    class Meta:
        index_name = "TopScores"
        projection = KeysOnlyProjection()

    contender = UnicodeAttribute(hash_key=True)
    rank_key = UnicodeAttribute(range_key=True, attr_name="rankKey")


class Flagged(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Players who are not active, by state and by when that ends: the moderators' queues."""

    class Meta:
        index_name = "Flagged"
        projection = KeysOnlyProjection()

    flag = UnicodeAttribute(hash_key=True)
    flag_until = UnicodeAttribute(range_key=True, attr_name="flagUntil")


class UserScore(Model):
    """A player on one board. `rank_key` read backwards is the total order (players.Player.rank_key)."""

    class Meta(_Meta):
        table_name = settings.SCOREBOARD_TABLE_PREFIX + "UserScores"

    user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
    board = UnicodeAttribute(range_key=True)
    score = NumberAttribute()
    version = NumberAttribute()
    reached_at = NumberAttribute(attr_name="reachedAt")
    rank_key = UnicodeAttribute(attr_name="rankKey")
    contender = UnicodeAttribute(null=True)
    name = UnicodeAttribute(null=True)
    state = UnicodeAttribute()
    banned_until = NumberAttribute(null=True, attr_name="bannedUntil")
    flag = UnicodeAttribute(null=True)
    flag_until = UnicodeAttribute(null=True, attr_name="flagUntil")
    schema = NumberAttribute(default=SCHEMA)

    top_scores = TopScores()
    flagged = Flagged()


class TableState(Model):
    """What the table knows about itself, in one item of UserScores (no user id starts with `#`).

    `generation` is new after every creation or restore, so that an old cache cannot outvote the table.
    `floor` is the highest floor ever in force: every active player at or above it is in TopScores.
    `floor_dropped_at` (ms) says since when no floor may be in force, until the table has been scanned.
    """

    class Meta(_Meta):
        table_name = settings.SCOREBOARD_TABLE_PREFIX + "UserScores"

    user_id = UnicodeAttribute(hash_key=True, attr_name="userId", default="#table")
    board = UnicodeAttribute(range_key=True)
    generation = UnicodeAttribute()
    floor = NumberAttribute(default=0)
    floor_dropped_at = NumberAttribute(null=True, attr_name="floorDroppedAt")


class Erasure(Model):
    """An erased player whose ledger still holds personal data, in entries up to the version `up_to`.

    An item of UserScores in a partition of its own, written in the transaction that erases the player.
    `after` is the last entry that has been swept.
    """

    class Meta(_Meta):
        table_name = settings.SCOREBOARD_TABLE_PREFIX + "UserScores"

    partition = UnicodeAttribute(hash_key=True, attr_name="userId", default="#erasures")
    user_id = UnicodeAttribute(range_key=True, attr_name="board")
    up_to = NumberAttribute(attr_name="upTo")
    after = UnicodeAttribute(null=True)


class LedgerEntry(Model):
    """One accepted update (`entry_id` is the idempotency key) or moderation (`MOD#` and a ULID)."""

    class Meta(_Meta):
        table_name = settings.SCOREBOARD_TABLE_PREFIX + "ScoreLedger"

    user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
    entry_id = UnicodeAttribute(range_key=True, attr_name="entryId")
    kind = UnicodeAttribute()
    increment = NumberAttribute()
    new_score = NumberAttribute(attr_name="newScore")
    version = NumberAttribute()
    at = NumberAttribute()
    previous_at = NumberAttribute(attr_name="previousAt")
    request_hash = UnicodeAttribute(null=True, attr_name="requestHash")
    actor = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    before = UnicodeAttribute(null=True)
    after = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True, attr_name="expiresAt")

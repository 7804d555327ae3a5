"""DynamoDB, the record: the only user of PynamoDB calls. Errors of the library end here, as ours.

All reads of players are consistent; the indexes only nominate. Nothing in here retries a write: what a
failed write means is `commit`'s answer to its caller.
"""

from __future__ import annotations

import functools
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import botocore.exceptions as botocore_errors
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, TransactWriteError, UpdateError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from scores import models
from scores.errors import Throttled, Unavailable
from scores.models import LedgerEntry, TableState, UserScore
from scores.scoring import BOARD_ID, MAX_MS, Entry, Player, State

logger = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=Model)

_THROTTLES = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
}
_NEVER_SENT = (
    botocore_errors.ConnectTimeoutError,
    botocore_errors.EndpointConnectionError,
    botocore_errors.NoCredentialsError,
)
_NO_TABLES = "The tables are not there yet: run `python manage.py create_tables`."
#: A read is tried again while this much time (s) has not passed since its start.
READ_AGAIN_WITHIN_S = 0.3
#: The same for creating tables, where a timeout means little: asking again is harmless.
ADMINISTRATION_WITHIN_S = 10.0


class EntryExists(Exception):
    """The ledger already has this entry: nothing was written."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.entry_id)
        self.entry = entry


class PlayerMoved(Exception):
    """The player is not as it was thought to be: nothing was written. `player` is how it is."""

    def __init__(self, player: Player) -> None:
        super().__init__(player.user_id)
        self.player = player


class Contended(Exception):
    """Another transaction is at the player right now: nothing was written."""


class Undecided(Exception):
    """The answer did not arrive: it may have been written, or may yet be."""


# --- Players and their ledger -----------------------------------------------------------------------


def read_player(user_id: str) -> Player | None:
    """Raises Unavailable or Throttled."""
    item = _get(UserScore, user_id, BOARD_ID)
    return _player(item) if item else None


def read_players(user_ids: Iterable[str]) -> dict[str, Player]:
    """Those of the players that exist, by id. Raises Unavailable or Throttled."""
    keys = [(user_id, BOARD_ID) for user_id in user_ids]
    items = _read(lambda: UserScore.batch_get(keys, consistent_read=True)) if keys else []
    return {item.user_id: _player(item) for item in items}


def read_entry(user_id: str, entry_id: str) -> Entry | None:
    """Raises Unavailable or Throttled."""
    item = _get(LedgerEntry, user_id, entry_id)
    return _entry(item) if item else None


def read_ledger(user_id: str) -> list[Entry]:
    """All entries of a player, in no order. Raises Unavailable or Throttled."""
    return [_entry(item) for item in _read(lambda: LedgerEntry.query(user_id, consistent_read=True))]


def commit(entry: Entry, player: Player, known: Player, *, floor: int, now: int) -> None:
    """Write a ledger entry and the player after it in one transaction.

    The write happens only if the entry is new, the player is still at `known.version` and, for an
    update, is not banned at `now` (ms). `contender` is set if the player contends at `floor`.

    Raises EntryExists, PlayerMoved, Contended, Throttled or Unavailable (nothing was written), or
    Undecided.
    """
    condition: Any = UserScore.version.does_not_exist()
    if known.version:
        condition = UserScore.version == known.version
    if known.version and entry.actor is None:
        not_banned = UserScore.state != State.BANNED.value
        condition &= not_banned | (UserScore.banned_until <= now)
    try:
        with TransactWrite(connection=_connection()) as transaction:
            transaction.save(_ledger_item(entry), LedgerEntry.entry_id.does_not_exist(), "ALL_OLD")
            transaction.update(
                UserScore(player.user_id, BOARD_ID), _actions(player, floor), condition, "ALL_OLD"
            )
    except TransactWriteError as error:
        raise _write_failure(error, known) from error


def _write_failure(error: TransactWriteError, known: Player) -> Exception:
    reasons = error.cancellation_reasons
    codes = {reason.code for reason in reasons if reason}
    if reasons and reasons[0] and reasons[0].code == "ConditionalCheckFailed":
        return EntryExists(_entry(LedgerEntry.from_raw_data(reasons[0].raw_item or {})))
    if len(reasons) > 1 and reasons[1] and reasons[1].code == "ConditionalCheckFailed":
        item = reasons[1].raw_item
        return PlayerMoved(_player(UserScore.from_raw_data(item)) if item else Player(known.user_id))
    if "TransactionConflict" in codes or _code(error) == "TransactionInProgressException":
        return Contended()
    if codes & _THROTTLES:
        return Throttled()
    return _translated(error, Undecided)


# --- Lists of players -------------------------------------------------------------------------------


def nominees(count: int) -> list[tuple[str, int]]:
    """(user id, score) of the best `count` in the index TopScores; eventually consistent."""
    query = functools.partial(UserScore.top_scores.query, BOARD_ID, scan_index_forward=False, limit=count)
    return [(item.user_id, int(item.rank_key.split("#", 1)[0])) for item in _read(query)]


def ended_bans(now: int, count: int) -> list[str]:
    """Ids of at most `count` players whose ban ended before `now` (ms), from the index Flagged."""
    until = UserScore.flag_until < f"{now + 1:015d}"
    return [
        item.user_id
        for item in _read(lambda: UserScore.flagged.query(State.BANNED.value, until, limit=count))
    ]


def scan_players() -> Iterator[tuple[Player, bool]]:
    """Every player with whether it is in the index, read consistently; page by page.

    Raises Unavailable or Throttled.
    """
    for item in _translating(UserScore.scan(UserScore.version.exists(), consistent_read=True)):
        yield _player(item), item.contender is not None


def scan_ledger_ids() -> Iterator[str]:
    """The user id of every ledger entry, with repeats. Raises Unavailable or Throttled."""
    for item in _translating(LedgerEntry.scan(attributes_to_get=["userId"], consistent_read=True)):
        yield item.user_id


def promote(player: Player) -> bool:
    """Put an active player in the index if the table still has it at this version and outside."""
    condition = (UserScore.version == player.version) & UserScore.contender.does_not_exist()
    return _update(UserScore(player.user_id, BOARD_ID), [UserScore.contender.set(BOARD_ID)], condition)


# --- The table itself -------------------------------------------------------------------------------


def create_tables() -> list[str]:
    """Create what is missing: tables, indexes, TTL, generation. Returns what was done, in words.

    Patient with a store that has only just started. Raises Unavailable.
    """
    done = []
    for model in (UserScore, LedgerEntry):
        if not _patiently(model.exists):
            _patiently(functools.partial(model.create_table, wait=True))
            done.append(f"created table {model.Meta.table_name}")
    ledger = LedgerEntry.Meta.table_name
    status = _patiently(lambda: _connection().client.describe_time_to_live(TableName=ledger))
    if status["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED":
        _patiently(lambda: _connection().update_time_to_live(ledger, "expiresAt"))
        done.append(f"switched on TTL of {ledger}")
    state = TableState(board=BOARD_ID, generation=secrets.token_hex(8))
    if _update(
        state,
        [TableState.generation.set(state.generation), TableState.floor.set(0)],
        TableState.generation.does_not_exist(),
    ):
        done.append("wrote a new generation")
    return done


def read_state() -> TableState:
    """Generation and floor. Raises Unavailable, also when the tables are not there yet."""
    item = _get(TableState, "#table", BOARD_ID)
    if item is None:
        raise Unavailable(_NO_TABLES)
    return item


def raise_floor(floor: int) -> bool:
    """Record that a floor as high as `floor` is about to be in force.

    False when that is not so: a higher one is recorded, or the floor was dropped.
    """
    condition = (TableState.floor < floor) & TableState.floor_dropped_at.does_not_exist()
    return _update(TableState(board=BOARD_ID), [TableState.floor.set(floor)], condition)


def drop_floor(now: int) -> None:
    """Record that from `now` (ms) no floor may be in force."""
    action = TableState.floor_dropped_at.set(now)
    _update(TableState(board=BOARD_ID), [action], TableState.floor_dropped_at.does_not_exist())


def settle_floor(floor: int, dropped_at: int) -> None:
    """Record that every active player at or above `floor` is in the index: floors may be in force again."""
    actions = [TableState.floor.set(floor), TableState.floor_dropped_at.remove()]
    _update(TableState(board=BOARD_ID), actions, TableState.floor_dropped_at == dropped_at)


def warm_up() -> None:
    """Make the clients while no other thread does: PynamoDB makes them without a lock.

    Raises Unavailable when the tables cannot be read.
    """
    read_state()
    read_player("warm-up")
    read_entry("warm-up", "warm-up")
    _ = _connection().client


# --- Between items and values -----------------------------------------------------------------------


def _player(item: UserScore) -> Player:
    return Player(
        user_id=item.user_id,
        score=int(item.score),
        version=int(item.version),
        reached_at=int(item.reached_at),
        name=item.name,
        state=State(item.state),
        banned_until=None if item.banned_until is None else int(item.banned_until),
    )


def _actions(player: Player, floor: int) -> list[Any]:
    until = MAX_MS if player.banned_until is None else player.banned_until
    flagged = player.state is not State.ACTIVE
    values: list[tuple[Any, Any]] = [
        (UserScore.score, player.score),
        (UserScore.version, player.version),
        (UserScore.reached_at, player.reached_at),
        (UserScore.rank_key, player.rank_key),
        (UserScore.state, player.state.value),
        (UserScore.schema, models.SCHEMA),
        (UserScore.name, player.name),
        (UserScore.banned_until, player.banned_until),
        (UserScore.contender, BOARD_ID if player.contends(floor) else None),
        (UserScore.flag, player.state.value if flagged else None),
        (UserScore.flag_until, f"{until:015d}#{player.user_id}" if flagged else None),
    ]
    return [attribute.remove() if value is None else attribute.set(value) for attribute, value in values]


_ENTRY_FIELDS = tuple(Entry.__dataclass_fields__)
_ENTRY_NUMBERS = {"increment", "new_score", "version", "at", "previous_at", "expires_at"}


def _ledger_item(entry: Entry) -> LedgerEntry:
    return LedgerEntry(**{field: getattr(entry, field) for field in _ENTRY_FIELDS})


def _entry(item: LedgerEntry) -> Entry:
    values: dict[str, Any] = {field: getattr(item, field) for field in _ENTRY_FIELDS}
    for field in _ENTRY_NUMBERS:
        if values[field] is not None:
            values[field] = int(values[field])
    return Entry(**values)


# --- Calls and their failures -----------------------------------------------------------------------


@functools.cache
def _connection() -> Connection:
    meta = models.UserScore.Meta
    return Connection(
        region=meta.region,
        host=meta.host,
        connect_timeout_seconds=meta.connect_timeout_seconds,
        read_timeout_seconds=meta.read_timeout_seconds,
        max_retry_attempts=meta.max_retry_attempts,
        max_pool_connections=meta.max_pool_connections,
        aws_access_key_id=meta.aws_access_key_id,
        aws_secret_access_key=meta.aws_secret_access_key,
    )


def _code(error: PynamoDBException) -> str | None:
    # PynamoDB's own reading of it fails on a timeout, which has no response.
    return error.cause_response_code if isinstance(error.cause, botocore_errors.ClientError) else None


def _translated(error: PynamoDBException, undecided: type[Exception]) -> Exception:
    code = _code(error)
    if code in _THROTTLES:
        return Throttled()
    if isinstance(error.cause, botocore_errors.ClientError):
        status = error.cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if code == "ResourceNotFoundException":
            return Unavailable(_NO_TABLES)
        if code != "InternalServerError" and status < 500:
            logger.error("DynamoDB refused a call: %s", code)
            return Unavailable()
        return undecided()
    return Unavailable() if isinstance(error.cause, _NEVER_SENT) else undecided()


def _once(call: Callable[[], T]) -> T:
    try:
        return call()
    except PynamoDBException as error:
        raise _translated(error, Unavailable) from error


def _translating(items: Iterable[T]) -> Iterator[T]:
    try:
        yield from items
    except PynamoDBException as error:
        raise _translated(error, Unavailable) from error


def _get(model: type[M], hash_key: str, range_key: str) -> M | None:
    def call() -> list[M]:
        try:
            return [model.get(hash_key, range_key, consistent_read=True)]
        except model.DoesNotExist:
            return []

    return next(iter(_read(call)), None)


def _read(call: Callable[[], Iterable[T]]) -> Sequence[T]:
    """Run a read to its end; again after a quick failure."""
    return _patiently(lambda: list(call()), READ_AGAIN_WITHIN_S)


def _patiently(call: Callable[[], T], within_s: float = ADMINISTRATION_WITHIN_S) -> T:
    """Call, and again after a failure that came within this time (s)."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return _once(call)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.01, 0.05))


def _update(item: Any, actions: list[Any], condition: Any) -> bool:
    """A conditional update outside a transaction; False when the condition did not hold."""
    try:
        item.update(actions=actions, condition=condition)
    except UpdateError as error:
        if _code(error) == "ConditionalCheckFailedException":
            return False
        raise _translated(error, Unavailable) from error
    return True

"""DynamoDB, the record: the only user of PynamoDB calls. Errors of the library end here, as ours.

All reads of players are consistent; the indexes only nominate. Nothing in here retries a write: what a
failed write means is `commit`'s answer to its caller.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from scores.rules.actions import Action
from scores.rules.boards import BOARD_ID
from scores.rules.entries import Entry
from scores.rules.errors import Throttled, Unavailable
from scores.rules.players import MAX_MS, Player, State
from scores.stores import dynamodb, tables
from scores.stores.tables import Erasure, LedgerEntry, TableState, UserScore

logger = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=Model)


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
    item = dynamodb.get(UserScore, user_id, BOARD_ID)
    return _player(item) if item else None


def read_players(user_ids: Iterable[str]) -> dict[str, Player]:
    """Those of the players that exist, by id. Raises Unavailable or Throttled."""
    keys = [(user_id, BOARD_ID) for user_id in user_ids]
    items = dynamodb.read(lambda: UserScore.batch_get(keys, consistent_read=True)) if keys else []
    return {item.user_id: _player(item) for item in items}


def read_entry(user_id: str, entry_id: str) -> Entry | None:
    """Raises Unavailable or Throttled."""
    item = dynamodb.get(LedgerEntry, user_id, entry_id)
    return _entry(item) if item else None


def read_ledger(user_id: str) -> list[Entry]:
    """All entries of a player, in no order. Raises Unavailable or Throttled."""
    return [_entry(item) for item in dynamodb.read(lambda: LedgerEntry.query(user_id, consistent_read=True))]


def read_latest(user_id: str, most: int) -> tuple[list[Entry], bool]:
    """(entries, whether there are more): at most `most` updates and at most `most` moderations, in no order.

    The key of an update is no order in time, so of more than `most` updates it is any. Raises Unavailable
    or Throttled.
    """
    query = functools.partial(LedgerEntry.query, user_id, consistent_read=True, limit=most + 1)
    found = [_entry(item) for item in dynamodb.read(query)]
    if len(found) <= most:
        return found, False
    known = {entry.entry_id: entry for entry in found[:most]}
    known.update((entry.entry_id, entry) for entry in read_moderations(user_id, most))
    return list(known.values()), True


def read_moderations(user_id: str, most: int | None = None) -> list[Entry]:
    """The moderations of a player, in no order. Raises Unavailable or Throttled."""
    condition = LedgerEntry.entry_id.startswith("MOD#")
    query = functools.partial(LedgerEntry.query, user_id, condition, consistent_read=True, limit=most)
    return [_entry(item) for item in dynamodb.read(query)]


def commit(entry: Entry, player: Player, known: Player, *, floor: int, now: int) -> None:
    """Write a ledger entry and the player after it in one transaction.

    The write happens only if the entry is new, the player is still at `known.version` and, for an
    update, is not banned at `now` (ms). `contender` is set if the player contends at `floor`. An erasure is
    marked for the sweep (scores.stores.ledger) in the same transaction.

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
        with TransactWrite(connection=dynamodb.connection()) as transaction:
            transaction.save(_ledger_item(entry), LedgerEntry.entry_id.does_not_exist(), "ALL_OLD")
            transaction.update(
                UserScore(player.user_id, BOARD_ID), _actions(player, floor), condition, "ALL_OLD"
            )
            if entry.kind == Action.ERASE.value:
                transaction.save(Erasure(user_id=player.user_id, up_to=player.version))
    except TransactWriteError as error:
        raise _write_failure(error, known) from error


def _write_failure(error: TransactWriteError, known: Player) -> Exception:
    reasons = error.cancellation_reasons
    codes = {reason.code for reason in reasons if reason}
    if reasons and reasons[0] and reasons[0].code == "ConditionalCheckFailed":
        return EntryExists(entry_of(reasons[0].raw_item or {}))
    if len(reasons) > 1 and reasons[1] and reasons[1].code == "ConditionalCheckFailed":
        item = reasons[1].raw_item
        return PlayerMoved(_player(UserScore.from_raw_data(item)) if item else Player(known.user_id))
    if "TransactionConflict" in codes or dynamodb.code(error) == "TransactionInProgressException":
        return Contended()
    if codes & dynamodb.THROTTLES:
        return Throttled()
    return dynamodb.translated(error, Undecided)


# --- Lists of players -------------------------------------------------------------------------------


def nominees(count: int) -> list[tuple[str, int]]:
    """(user id, score) of the best `count` in the index TopScores; eventually consistent."""
    query = functools.partial(UserScore.top_scores.query, BOARD_ID, scan_index_forward=False, limit=count)
    return [(item.user_id, int(item.rank_key.split("#", 1)[0])) for item in dynamodb.read(query)]


def ended_bans(now: int, count: int) -> list[str]:
    """Ids of at most `count` players whose ban ended before `now` (ms), from the index Flagged."""
    until = UserScore.flag_until < f"{now + 1:015d}"
    return [
        item.user_id
        for item in dynamodb.read(lambda: UserScore.flagged.query(State.BANNED.value, until, limit=count))
    ]


def flagged(state: State, after: str, count: int) -> list[tuple[str, str]]:
    """(user id, place) of at most `count` players in this state, by when it ends, behind the place `after`.

    From the index Flagged, eventually consistent. Raises Unavailable or Throttled.
    """
    place = UserScore.flag_until > after if after else None
    query = functools.partial(UserScore.flagged.query, state.value, place, limit=count)
    return [(item.user_id, str(item.flag_until)) for item in dynamodb.read(query)]


def scan_players() -> Iterator[tuple[Player, bool]]:
    """Every player with whether it is in the index, read consistently; page by page.

    Raises Unavailable or Throttled.
    """
    for item in dynamodb.translating(UserScore.scan(UserScore.version.exists(), consistent_read=True)):
        yield _player(item), item.contender is not None


def scan_ledger_ids() -> Iterator[str]:
    """The user id of every ledger entry, with repeats. Raises Unavailable or Throttled."""
    for item in dynamodb.translating(LedgerEntry.scan(attributes_to_get=["userId"], consistent_read=True)):
        yield item.user_id


def promote(player: Player) -> bool:
    """Put an active player in the index if the table still has it at this version and outside."""
    condition = (UserScore.version == player.version) & UserScore.contender.does_not_exist()
    return dynamodb.update(
        UserScore(player.user_id, BOARD_ID), [UserScore.contender.set(BOARD_ID)], condition
    )


# --- The table itself -------------------------------------------------------------------------------


def create_tables() -> list[str]:
    """Create what is missing: tables, indexes, TTL, generation. Returns what was done, in words.

    Patient with a store that has only just started. Raises Unavailable.
    """
    done = []
    for model in (UserScore, LedgerEntry):
        if not dynamodb.patiently(model.exists):
            dynamodb.patiently(functools.partial(model.create_table, wait=True))
            done.append(f"created table {model.Meta.table_name}")
    ledger = LedgerEntry.Meta.table_name
    status = dynamodb.patiently(lambda: dynamodb.connection().client.describe_time_to_live(TableName=ledger))
    if status["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED":
        dynamodb.patiently(lambda: dynamodb.connection().update_time_to_live(ledger, "expiresAt"))
        done.append(f"switched on TTL of {ledger}")
    state = TableState(board=BOARD_ID, generation=secrets.token_hex(8))
    if dynamodb.update(
        state,
        [TableState.generation.set(state.generation), TableState.floor.set(0)],
        TableState.generation.does_not_exist(),
    ):
        done.append("wrote a new generation")
    return done


def begin_generation(now: int) -> None:
    """After a restore: no cache of the table as it was may outvote it; the floor is dropped at `now` (ms).

    Raises Unavailable, also when there is no table.
    """
    read_state()
    state = TableState(board=BOARD_ID)
    dynamodb.update(
        state,
        [TableState.generation.set(secrets.token_hex(8)), TableState.floor_dropped_at.set(now)],
        TableState.generation.exists(),
    )


def read_state() -> TableState:
    """Generation and floor. Raises Unavailable, also when the tables are not there yet."""
    item = dynamodb.get(TableState, "#table", BOARD_ID)
    if item is None:
        raise Unavailable(dynamodb.NO_TABLES)
    return item


def raise_floor(floor: int) -> bool:
    """Record that a floor as high as `floor` is about to be in force.

    False when that is not so: a higher one is recorded, or the floor was dropped.
    """
    condition = (TableState.floor < floor) & TableState.floor_dropped_at.does_not_exist()
    return dynamodb.update(TableState(board=BOARD_ID), [TableState.floor.set(floor)], condition)


def drop_floor(now: int) -> None:
    """Record that from `now` (ms) no floor may be in force."""
    action = TableState.floor_dropped_at.set(now)
    dynamodb.update(TableState(board=BOARD_ID), [action], TableState.floor_dropped_at.does_not_exist())


def settle_floor(floor: int, dropped_at: int) -> None:
    """Record that every active player at or above `floor` is in the index: floors may be in force again."""
    actions = [TableState.floor.set(floor), TableState.floor_dropped_at.remove()]
    dynamodb.update(TableState(board=BOARD_ID), actions, TableState.floor_dropped_at == dropped_at)


def make_clients() -> None:
    """Make all clients now. Asks no table; on AWS it fetches credentials, and raises what botocore raises.

    PynamoDB makes each when it is first needed, without a lock: a rush of first requests would make one for
    every thread, of 10 MB and a quarter of a second each.
    """
    tables = [model._get_connection().connection for model in (UserScore, LedgerEntry, TableState, Erasure)]
    for connection in (*tables, dynamodb.connection()):
        _ = connection.client


def see_tables() -> None:
    """Raises Unavailable when the tables cannot be read."""
    read_state()
    read_entry("nobody", "nothing")


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
        (UserScore.schema, tables.SCHEMA),
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


def entry_of(raw: dict[str, Any]) -> Entry:
    """An entry from an item of the ledger as DynamoDB returns it."""
    return _entry(LedgerEntry.from_raw_data(raw))


def _entry(item: LedgerEntry) -> Entry:
    values: dict[str, Any] = {field: getattr(item, field) for field in _ENTRY_FIELDS}
    for field in _ENTRY_NUMBERS:
        if values[field] is not None:
            values[field] = int(values[field])
    return Entry(**values)

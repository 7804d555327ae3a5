"""The players of one board in DynamoDB. Errors of the library end here, as ours.

All reads of players are consistent; the indexes only nominate. Nothing here retries a write: `commit` tells
its caller what a failed write means.
"""

from __future__ import annotations

import dataclasses
import functools
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from scores.rules.actions import Action
from scores.rules.commits import Commit, Contended, EntryExists, PlayerMoved, Undecided
from scores.rules.errors import Throttled, Unavailable
from scores.rules.players import Player, State
from scores.stores import dynamodb
from scores.stores.items import entry_of_raw, ledger_item, player_actions, player_of
from scores.stores.tables import Erasure, LedgerEntry, TableState, UserScore


@dataclasses.dataclass(frozen=True, slots=True)
class PlayerTable:
    """The items of `board_id` in UserScores. Every method raises Unavailable or Throttled."""

    board_id: str

    # --- Players ------------------------------------------------------------------------------------

    def read(self, user_id: str) -> Player:
        """The player as the table has it now; version 0: not there yet."""
        item = dynamodb.get(UserScore, user_id, self.board_id)
        return player_of(item) if item else Player(user_id)

    def read_many(self, user_ids: Iterable[str]) -> dict[str, Player]:
        """Those of the players that exist, by id."""
        keys = [(user_id, self.board_id) for user_id in user_ids]
        items = dynamodb.read(lambda: UserScore.batch_get(keys, consistent_read=True)) if keys else []
        return {item.user_id: player_of(item) for item in items}

    def commit(self, commit: Commit, *, floor: int) -> None:
        """Write a ledger entry and the player after it in one transaction.

        Nothing is written unless the entry is new, the player is still at `commit.known.version` and, for an
        update, is not banned at `commit.at`. The player is put in the index if it contends at `floor`. The
        same transaction marks an erasure for the sweep of the ledger (scores.stores.erasure_marks).

        Raises EntryExists, PlayerMoved, Contended, Throttled or Unavailable (nothing was written), or
        Undecided.
        """
        entry, player = commit.entry, commit.player
        try:
            with TransactWrite(connection=dynamodb.connection()) as transaction:
                transaction.save(ledger_item(entry), LedgerEntry.entry_id.does_not_exist(), "ALL_OLD")
                transaction.update(
                    UserScore(player.user_id, self.board_id),
                    player_actions(player, self.board_id, floor),
                    _unchanged(commit),
                    "ALL_OLD",
                )
                if entry.kind == Action.ERASE.value:
                    transaction.save(Erasure(user_id=player.user_id, up_to=player.version))
        except TransactWriteError as error:
            raise _failure(error, commit.known) from error

    # --- Lists of players ---------------------------------------------------------------------------

    def nominees(self, count: int) -> list[tuple[str, int]]:
        """(user id, score) of the best `count` in the index TopScores; eventually consistent."""
        query = functools.partial(
            UserScore.top_scores.query, self.board_id, scan_index_forward=False, limit=count
        )
        return [(item.user_id, int(item.rank_key.split("#", 1)[0])) for item in dynamodb.read(query)]

    def ended_bans(self, now: int, count: int) -> list[str]:
        """Ids of at most `count` players whose ban ended before `now` (ms), from the index Flagged."""
        until = UserScore.flag_until < f"{now + 1:015d}"
        query = functools.partial(UserScore.flagged.query, State.BANNED.value, until, limit=count)
        return [item.user_id for item in dynamodb.read(query)]

    def flagged(self, state: State, after: str, count: int) -> list[tuple[str, str]]:
        """(user id, place) of at most `count` players in this state, by its end, after the place `after`.

        From the index Flagged, eventually consistent.
        """
        place = UserScore.flag_until > after if after else None
        query = functools.partial(UserScore.flagged.query, state.value, place, limit=count)
        return [(item.user_id, str(item.flag_until)) for item in dynamodb.read(query)]

    def scan(self) -> Iterator[tuple[Player, bool]]:
        """Every player with whether it is in the index, read consistently; page by page."""
        for item in dynamodb.translating(UserScore.scan(UserScore.version.exists(), consistent_read=True)):
            yield player_of(item), item.contender is not None

    def promote(self, player: Player) -> bool:
        """Put an active player in the index if the table still has it at this version and outside."""
        condition = (UserScore.version == player.version) & UserScore.contender.does_not_exist()
        item = UserScore(player.user_id, self.board_id)
        return dynamodb.update(item, [UserScore.contender.set(self.board_id)], condition)

    # --- What the table records about itself --------------------------------------------------------

    def read_state(self) -> TableState:
        """Generation and floor. Raises Unavailable also when the tables are not there yet."""
        item = dynamodb.get(TableState, "#table", self.board_id)
        if item is None:
            raise Unavailable(dynamodb.NO_TABLES)
        return item

    def begin_first_generation(self) -> bool:
        """Write a generation and no floor, unless there is one; whether it was written."""
        actions = [TableState.generation.set(secrets.token_hex(8)), TableState.floor.set(0)]
        return self._update_state(actions, TableState.generation.does_not_exist())

    def begin_generation(self, now: int) -> None:
        """After a restore: older caches of the table no longer count; the floor is dropped at `now` (ms).

        Raises Unavailable also when there is no table.
        """
        self.read_state()
        actions = [TableState.generation.set(secrets.token_hex(8)), TableState.floor_dropped_at.set(now)]
        self._update_state(actions, TableState.generation.exists())

    def raise_floor(self, floor: int) -> bool:
        """Record that a floor as high as `floor` is about to be in force.

        False when it may not be: a higher one is recorded, or the floor was dropped.
        """
        condition = (TableState.floor < floor) & TableState.floor_dropped_at.does_not_exist()
        return self._update_state([TableState.floor.set(floor)], condition)

    def drop_floor(self, now: int) -> None:
        """Record that from `now` (ms) no floor may be in force."""
        actions = [TableState.floor_dropped_at.set(now)]
        self._update_state(actions, TableState.floor_dropped_at.does_not_exist())

    def settle_floor(self, floor: int, dropped_at: int) -> None:
        """Record that the index holds every active player from `floor` up: floors may be in force again."""
        actions = [TableState.floor.set(floor), TableState.floor_dropped_at.remove()]
        self._update_state(actions, TableState.floor_dropped_at == dropped_at)

    def _update_state(self, actions: list[Any], condition: Any) -> bool:
        return dynamodb.update(TableState(board=self.board_id), actions, condition)


def _unchanged(commit: Commit) -> Any:
    """The condition that the player is still as it is known, and may be updated."""
    if not commit.known.version:
        return UserScore.version.does_not_exist()
    condition = UserScore.version == commit.known.version
    if commit.entry.actor is None:
        condition &= (UserScore.state != State.BANNED.value) | (UserScore.banned_until <= commit.at)
    return condition


def _failure(error: TransactWriteError, known: Player) -> Exception:
    reasons = error.cancellation_reasons
    codes = {reason.code for reason in reasons if reason}
    if reasons and reasons[0] and reasons[0].code == "ConditionalCheckFailed":
        return EntryExists(entry_of_raw(reasons[0].raw_item or {}))
    if len(reasons) > 1 and reasons[1] and reasons[1].code == "ConditionalCheckFailed":
        item = reasons[1].raw_item
        return PlayerMoved(player_of(UserScore.from_raw_data(item)) if item else Player(known.user_id))
    if "TransactionConflict" in codes or dynamodb.code(error) == "TransactionInProgressException":
        return Contended()
    if codes & dynamodb.THROTTLES:
        return Throttled()
    return dynamodb.translated(error, Undecided)

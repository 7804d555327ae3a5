"""What the product does, as plain functions. Only services touch more than one store, or broadcast.

Order of a write: rules → one conditional transaction (scores.stores.repository) → merge into the ranking →
poke the hubs. Redis trouble never fails a write: it is logged and left to the reconciler.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from scores import concurrency
from scores.board.index_board import IndexBoard
from scores.board.merging import current_ranking, leave_to_reconciler, merge, recorded_floor
from scores.identity.verifier import Identity
from scores.rules.boards import Board, Standing, points_to_top10
from scores.rules.entries import Entry, request_hash
from scores.rules.errors import (
    Banned,
    Conflict,
    Forbidden,
    Invalid,
    KeyReused,
    OutcomeUnknown,
    ScoreboardError,
    ScoreLimit,
    Throttled,
    TicketExpired,
    TicketInvalid,
    TicketRequired,
    Unavailable,
)
from scores.rules.limits import NO_DEMAND, Demand, known_refusals, local_limiter
from scores.rules.players import MAX_SCORE, Player, increased
from scores.rules.tickets import Ticket
from scores.stores import ranking, repository
from scores.stores.ranking import RankingUnavailable
from scores.stores.tables import READ_TIMEOUT_S
from scores.telemetry import metrics

logger = logging.getLogger(__name__)

#: All tries of one update end within this time (s).
DEADLINE_S = 2.0

# One at a time per player in this process: optimistic retries alone collapse under contention.
_player_locks = [threading.Lock() for _ in range(1024)]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- Adding points ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """An update that counts: the score it led to, and whether it had been accepted before."""

    new_score: int
    replayed: bool


def add_points(
    *,
    user_id: str,
    increment: int,
    key: str,
    caller: Identity,
    ticket: Ticket | None = None,
    demand: Demand = NO_DEMAND,
) -> Accepted:
    """Raise a player's score by `increment` points, once for each `key`.

    `user_id` and `key` match scoring.ID_PATTERN, `increment` is 1 … SCOREBOARD_MAX_INCREMENT. `key` is
    the `jti` of the `ticket`, if there is one: a verified one (tickets.verify), which may have expired.
    `demand` is what the rate limits are asked for; it is settled here.

    Raises Forbidden, TicketRequired, TicketInvalid, TicketExpired, RateLimited, Banned, ScoreLimit,
    KeyReused (nothing was changed); Throttled, Conflict or Unavailable (nothing was changed, try
    again); OutcomeUnknown (try again with the same key).
    """
    if not caller.may_write_for(user_id):
        raise Forbidden(caller.explain_refusal(user_id))
    if settings.SCOREBOARD_SERVER_ONLY and not caller.is_server:
        raise Forbidden("Only the site's own server may change scores.")
    if not 1 <= increment <= settings.SCOREBOARD_MAX_INCREMENT:
        raise Invalid(f"increment must be 1 … {settings.SCOREBOARD_MAX_INCREMENT}.")
    if ticket is not None:
        _check_ticket(ticket, user_id, increment, key)
    elif settings.SCOREBOARD_REQUIRE_TICKET and not caller.is_server:
        raise TicketRequired
    known_refusals.check(demand)
    deadline = time.monotonic() + DEADLINE_S
    with one_at_a_time(user_id):
        known, certain, floor = _guess(user_id, demand)
        if ticket is not None and ticket.expires_at + settings.SCOREBOARD_TICKET_LEEWAY_S < now_ms() / 1000:
            return _replay(user_id, increment, key, known, deadline)
        kind = "update" if ticket is None else "ticket"
        return _add_points(user_id, increment, key, kind, known, certain, floor, deadline)


@contextmanager
def one_at_a_time(user_id: str) -> Iterator[None]:
    """The turn of one writer of this process at this player. Raises Conflict after half a DEADLINE_S."""
    lock = _player_locks[hash(user_id) % len(_player_locks)]
    if not concurrency.acquire(lock, DEADLINE_S / 2):
        raise Conflict
    try:
        yield
    finally:
        lock.release()


def _check_ticket(ticket: Ticket, user_id: str, increment: int, key: str) -> None:
    if ticket.user_id != user_id or ticket.increment != increment:
        raise TicketInvalid
    if key != ticket.jti:
        raise Invalid("The Idempotency-Key must be the ticket's jti, or absent.")
    # It counts once because the ledger remembers its jti, so it must be over before the ledger forgets.
    remembered_s = settings.SCOREBOARD_LEDGER_DAYS * 86_400 - settings.SCOREBOARD_TICKET_LEEWAY_S
    if ticket.expires_at > now_ms() // 1000 + remembered_s:
        raise TicketInvalid("The ticket is valid for longer than the ledger remembers it.")


def _replay(user_id: str, increment: int, key: str, known: Player, deadline: float) -> Accepted:
    entry = repository.read_entry(user_id, key)
    if entry is None:
        raise TicketExpired
    return _answered_before(entry, request_hash(user_id, increment), known, deadline)


def _add_points(
    user_id: str,
    increment: int,
    key: str,
    kind: str,
    known: Player,
    certain: bool,
    floor: int,
    deadline: float,
) -> Accepted:
    digest = request_hash(user_id, increment)
    undecided = False
    wait_s = 0.01
    failure: ScoreboardError = Unavailable()
    while _time_for_a_call(deadline):
        now = now_ms()
        refusal = _refusal(known, increment, now)
        if refusal and not certain:
            known, certain = read_player(user_id), True
            refusal = _refusal(known, increment, now)
        if refusal:
            entry = repository.read_entry(user_id, key)
            if entry is None:
                raise refusal
            return _answered_before(entry, digest, known, deadline, undecided)
        player = increased(known, increment, now)
        entry = Entry(
            user_id=user_id,
            entry_id=key,
            kind=kind,
            increment=increment,
            new_score=player.score,
            version=player.version,
            at=now,
            previous_at=known.reached_at,
            request_hash=digest,
            expires_at=now // 1000 + settings.SCOREBOARD_LEDGER_DAYS * 86_400,
        )
        try:
            repository.commit(entry, player, known, floor=floor, now=now)
        except repository.EntryExists as exists:
            return _answered_before(exists.entry, digest, known, deadline, undecided)
        except repository.PlayerMoved as moved:
            known, certain, failure = moved.player, True, Conflict()
            metrics.record(metrics.LEDGER_CONFLICTS)
        except repository.Contended:
            failure = Conflict()
            metrics.record(metrics.LEDGER_CONFLICTS)
            pause(wait_s, deadline)
            if not _time_for_a_call(deadline):
                break
            known, certain = read_player(user_id), True
        except Throttled as throttled:
            failure = throttled
            pause(wait_s, deadline)
        except repository.Undecided:
            undecided = True
            failure = OutcomeUnknown()
            # Another try is safe, the ledger entry admits one; it must leave time to read the entry.
            if time.monotonic() + 2 * READ_TIMEOUT_S > deadline:
                break
            pause(wait_s, deadline)
        else:
            merge([player])
            return Accepted(player.score, replayed=False)
        wait_s = min(2 * wait_s, 0.2)
    if not undecided:
        raise failure
    return _look_up(user_id, key, digest, known, deadline)


def _time_for_a_call(deadline: float) -> bool:
    """Whether a call to the table that gets no answer would be over in time."""
    return time.monotonic() + READ_TIMEOUT_S <= deadline


def _refusal(player: Player, increment: int, now: int) -> ScoreboardError | None:
    if player.is_banned(now):
        return Banned()
    if player.score + increment > MAX_SCORE:
        return ScoreLimit()
    return None


def _guess(user_id: str, demand: Demand) -> tuple[Player, bool, int]:
    """(player, whether that is certain, floor to go by): from the ranking, else from the table.

    Settles `demand`: in the ranking's call, else in this process.
    """
    try:
        player, floor = current_ranking().guess(user_id, demand)
        if player is not None:
            return player, False, floor
    except RankingUnavailable:
        floor = recorded_floor()
        local_limiter.settle(demand)
    return read_player(user_id), True, floor


def read_player(user_id: str) -> Player:
    """The player as the table has it now; version 0: not there yet. Raises Unavailable or Throttled."""
    return repository.read_player(user_id) or Player(user_id)


def _answered_before(
    entry: Entry, digest: str, known: Player, deadline: float, undecided: bool = False
) -> Accepted:
    if entry.request_hash != digest:
        raise KeyReused
    if known.version < entry.version:  # its merge may have been lost
        if _time_for_a_call(deadline):
            merge([read_player(entry.user_id)])
        else:
            leave_to_reconciler([entry.user_id])
    # After an undecided try of this very request, it was most likely that one that counted.
    return Accepted(entry.new_score, replayed=not undecided)


def _look_up(user_id: str, key: str, digest: str, known: Player, deadline: float) -> Accepted:
    if not _time_for_a_call(deadline):
        raise OutcomeUnknown
    try:
        entry = repository.read_entry(user_id, key)
    except Unavailable as error:
        raise OutcomeUnknown from error
    if entry is None:
        raise OutcomeUnknown
    return _answered_before(entry, digest, known, deadline, undecided=True)


def pause(seconds: float, deadline: float) -> None:
    """Sleep for about `seconds`, with jitter, but not past `deadline` (time.monotonic)."""
    with concurrency.waiting():
        time.sleep(max(0.0, min(random.uniform(seconds / 2, seconds), deadline - time.monotonic())))


# --- Reading ----------------------------------------------------------------------------------------


def get_board() -> Board:
    """The Top 10: from the ranking, else from the index and the table, else the last one known (stale).

    The ranking is passed over while it is in doubt. Raises Unavailable when there is none.
    """
    global _last_board
    try:
        ranked = current_ranking().board()
    except RankingUnavailable:
        ranked = None
    try:
        _last_board = ranked if ranked and not ranking.in_doubt() else _index_board.get()
    except Unavailable:
        known = _last_board or ranked
        if known is None:
            raise
        return dataclasses.replace(known, stale=True)
    return _last_board


_index_board = IndexBoard()
_last_board: Board | None = None


def get_standing(*, user_id: str) -> Standing:
    """A player's score, rank and distance to the board, from a consistent read of the player.

    Raises Unavailable.
    """
    player = read_player(user_id)
    rank = total = None
    try:
        merge([player] if player.version else [])
        rank, total = current_ranking().place(player)
    except RankingUnavailable:
        pass
    score = player.score if player.version else 0
    return Standing(user_id, score, rank, total, points_to_top10(score, get_board().rows, user_id))

"""Adding points: an update of a player's score, counted once for each idempotency key.

In this order: rules, the rate limits and a guess at the player (one call to Redis), one transaction
(scores.board.write_protocol), the merge into the ranking. Redis trouble never fails an update: it is logged
and left to the reconciler.
"""

from __future__ import annotations

import dataclasses

from django.conf import settings

from scores.board.merging import merge
from scores.board.scoreboard import Scoreboard
from scores.board.writing import one_at_a_time, write
from scores.identity.verifier import Identity
from scores.rules.commits import Commit
from scores.rules.entries import Entry, request_hash
from scores.rules.errors import (
    Banned,
    Forbidden,
    Invalid,
    KeyReused,
    OutcomeUnknown,
    RateLimited,
    ScoreLimit,
    TicketExpired,
    TicketInvalid,
    TicketRequired,
)
from scores.rules.limits import NO_DEMAND, Demand
from scores.rules.players import Player, RuleError, increased
from scores.rules.tickets import Ticket
from scores.stores.cache import RankingUnavailable


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """An update that counts: the score it led to, and whether an earlier call wrote it."""

    new_score: int
    replayed: bool


def add_points(
    scoreboard: Scoreboard,
    *,
    user_id: str,
    increment: int,
    key: str,
    caller: Identity,
    ticket: Ticket | None = None,
    demand: Demand = NO_DEMAND,
) -> Accepted:
    """Raise a player's score by `increment` points, once for each `key`.

    `user_id` and `key` match players.ID_PATTERN, `increment` is 1 … SCOREBOARD_MAX_INCREMENT. `key` is
    the `jti` of the `ticket`, if there is one: a verified one (tickets.verify), which may have expired.
    `demand` is what the rate limits are asked for; it is settled here.

    Raises Forbidden, TicketRequired, TicketInvalid, TicketExpired, RateLimited, Banned, ScoreLimit,
    KeyReused (nothing was changed); Throttled, Conflict or Unavailable (nothing was changed, try
    again); OutcomeUnknown (try again with the same key).
    """
    _check_caller(caller, user_id)
    if not 1 <= increment <= settings.SCOREBOARD_MAX_INCREMENT:
        raise Invalid(f"increment must be 1 … {settings.SCOREBOARD_MAX_INCREMENT}.")
    if ticket is not None:
        _check_ticket(ticket, user_id, increment, key, scoreboard.now_ms())
    elif settings.SCOREBOARD_REQUIRE_TICKET and not caller.is_server:
        raise TicketRequired
    scoreboard.known_refusals.check(demand)
    update = _Update(user_id, increment, key, ticket)
    with one_at_a_time(scoreboard, user_id) as deadline:
        known, certain, floor = _guess(scoreboard, user_id, demand)
        settled = write(
            scoreboard,
            update,
            floor=lambda: floor,
            known=known,
            # An expired ticket is refused whatever the player is like: that needs no read.
            certain=certain or update.has_expired(scoreboard.now_ms()),
            deadline=deadline,
        )
        # The next writer of this process must guess from the merged player, so it waits for the merge.
        if settled.player is not None and (certain or settled.player is not known):
            merge(scoreboard, [settled.player])
    return Accepted(settled.entry.new_score, settled.replayed)


@dataclasses.dataclass(frozen=True, slots=True)
class _Update:
    """The change that `write` settles."""

    user_id: str
    increment: int
    entry_id: str
    ticket: Ticket | None

    def plan(self, known: Player, at: int) -> Commit:
        """Raises TicketExpired, Banned or ScoreLimit."""
        if self.has_expired(at):
            raise TicketExpired
        if known.is_banned(at):
            raise Banned
        try:
            player = increased(known, self.increment, at)
        except RuleError as error:
            raise ScoreLimit from error
        entry = Entry(
            user_id=self.user_id,
            entry_id=self.entry_id,
            kind="update" if self.ticket is None else "ticket",
            increment=self.increment,
            new_score=player.score,
            version=player.version,
            at=at,
            previous_at=known.reached_at,
            request_hash=self._hash(),
            expires_at=at // 1000 + settings.SCOREBOARD_LEDGER_DAYS * 86_400,
        )
        return Commit(entry, player, known, at)

    def has_expired(self, at: int) -> bool:
        """Whether its ticket is too old at `at` (ms) to count, though it may have counted before."""
        leeway_s: int = settings.SCOREBOARD_TICKET_LEEWAY_S
        return self.ticket is not None and self.ticket.expires_at + leeway_s < at / 1000

    def check_entry(self, entry: Entry) -> None:
        if entry.request_hash != self._hash():
            raise KeyReused

    def outcome_unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown()

    def _hash(self) -> str:
        return request_hash(self.user_id, self.increment)


def _check_caller(caller: Identity, user_id: str) -> None:
    if not caller.may_write_for(user_id):
        raise Forbidden(caller.explain_refusal(user_id))
    if settings.SCOREBOARD_SERVER_ONLY and not caller.is_server:
        raise Forbidden("Only the site's own server may change scores.")


def _check_ticket(ticket: Ticket, user_id: str, increment: int, key: str, now: int) -> None:
    if ticket.user_id != user_id or ticket.increment != increment:
        raise TicketInvalid
    if key != ticket.jti:
        raise Invalid("The Idempotency-Key must be the ticket's jti, or absent.")
    # It counts once because the ledger remembers its jti, so it must expire before the ledger forgets.
    remembered_s = settings.SCOREBOARD_LEDGER_DAYS * 86_400 - settings.SCOREBOARD_TICKET_LEEWAY_S
    if ticket.expires_at > now // 1000 + remembered_s:
        raise TicketInvalid("The ticket is valid for longer than the ledger remembers it.")


def _guess(scoreboard: Scoreboard, user_id: str, demand: Demand) -> tuple[Player, bool, int]:
    """(player, whether that is certain, floor): from the ranking, else from the table.

    Settles `demand`: in the ranking's call, else in this process.
    """
    try:
        try:
            player, floor = scoreboard.ranking().guess(user_id, demand)
            if player is not None:
                return player, False, floor
        except RankingUnavailable:
            floor = scoreboard.recorded_floor()
            scoreboard.local_limiter.settle(demand)
    except RateLimited:
        scoreboard.known_refusals.note(demand)
        raise
    return scoreboard.players.read(user_id), True, floor

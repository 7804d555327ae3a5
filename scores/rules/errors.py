"""The errors of the product. Each class carries the stable `code` and the HTTP `status` of its answer.

    ScoreboardError
    ├── Invalid                400 invalid          the request cannot be understood; nothing changed
    │   ├── TooLarge           413 too_large
    │   └── KeyReused          422 key_reused       an idempotency key came with another update
    ├── Forbidden              403 forbidden        the caller may not write for this player
    │   ├── Banned             403 banned
    │   ├── TicketRequired     403 ticket_required  players need a ticket here
    │   ├── TicketInvalid      403 ticket_invalid   not signed by the site, or for another update or board
    │   └── TicketExpired      403 ticket_expired   the ticket had not been used before
    ├── ScoreLimit             409 score_limit
    ├── RateLimited            429 rate_limited     too many requests of this player, address or client
    ├── Refused                409 refused          a rule forbids this moderation
    │   └── VersionMoved       409 version_moved    the player changed since the moderator looked
    └── Unavailable            503 unavailable      a store does not answer; try again
        ├── Throttled          503 throttled        the table has no capacity right now
        ├── Conflict           503 conflict         too many writers on one player
        └── OutcomeUnknown     503 outcome_unknown  it may have been counted; retry with the same key

Imports nothing of ours.
"""

from __future__ import annotations


class ScoreboardError(Exception):
    """The base class. `str(error)` is the sentence that the caller reads."""

    code = "unavailable"
    status = 503
    detail = "The service is not available right now."
    #: Seconds to wait before trying again, for the `Retry-After` of a 429 or 503.
    retry_after: int | None = None

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.detail)


class Invalid(ScoreboardError):
    code, status, detail = "invalid", 400, "The request is not valid."


class TooLarge(Invalid):
    code, status = "too_large", 413

    def __init__(self, limit: int = 4096) -> None:
        super().__init__(f"The request body is larger than {limit} bytes.")


class KeyReused(Invalid):
    code, status = "key_reused", 422
    detail = "This idempotency key was used for another update."


class Forbidden(ScoreboardError):
    code, status, detail = "forbidden", 403, "You may not change this player's score."


class Banned(Forbidden):
    code, detail = "banned", "This player is banned."


class TicketRequired(Forbidden):
    code, detail = "ticket_required", "An update of this player needs a ticket."


class TicketInvalid(Forbidden):
    code, detail = "ticket_invalid", "The ticket is not valid for this update."


class TicketExpired(Forbidden):
    code, detail = "ticket_expired", "The ticket has expired."


class RateLimited(ScoreboardError):
    """Nothing was changed. A request after `retry_after` (s) would be granted."""

    code, status, detail = "rate_limited", 429, "Too many requests: slow down."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class ScoreLimit(ScoreboardError):
    code, status, detail = "score_limit", 409, "The score cannot grow any further."


class Refused(ScoreboardError):
    code, status, detail = "refused", 409, "This moderation is not possible."


class VersionMoved(Refused):
    code, detail = "version_moved", "The player has changed meanwhile."


class Unavailable(ScoreboardError):
    retry_after = 1


class Throttled(Unavailable):
    code, detail = "throttled", "Too much is being written right now."
    retry_after = 2


class Conflict(Unavailable):
    code, detail = "conflict", "Too many updates of this player at once."


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"
    detail = "It is not known whether the update was counted. Try again with the same Idempotency-Key."

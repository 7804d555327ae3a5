"""What a moderator asks for: checked arguments, and whether a ledger entry is of that very request."""

from __future__ import annotations

import dataclasses
import json

from ulid import ULID

from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.entries import Entry
from scores.rules.errors import Invalid
from scores.rules.names import BadName, clean_name
from scores.rules.players import ID_RULE, KEY_PATTERN, id_problem

#: A repeated form may count the end of its ban from its own "now": this close (ms), it is the same end.
SAME_END_MS = 60_000


@dataclasses.dataclass(frozen=True, slots=True)
class ModerationRequest:
    """An action on a player, by whom and why. The same `entry_id` again is the same request again.

    `amount` is for adjust, `name` for rename (None: no name), `until` (ms) for ban (None: for good).
    """

    user_id: str
    action: Action
    actor: str
    reason: str
    entry_id: str
    amount: int = 0
    name: str | None = None
    until: int | None = None

    def is_done_by(self, entry: Entry) -> bool:
        """Whether the entry is of this very request, and not of another with the same id."""
        if (entry.kind, entry.actor, entry.reason or "") != (self.action, self.actor, self.reason):
            return False
        after = json.loads(entry.after or "{}")
        match self.action:
            case Action.ADJUST:
                return entry.increment == self.amount
            case Action.RENAME:
                return bool(after["name"] == self.name)
            case Action.BAN:
                until = after["bannedUntil"]
                if until is None or self.until is None:
                    return until is self.until
                return bool(abs(until - self.until) <= SAME_END_MS)
        return True


def new_entry_id() -> str:
    return f"{audit_trail.PREFIX}{ULID()}"


def checked_request(
    *,
    user_id: str,
    action: Action,
    actor: str,
    reason: str,
    entry_id: str | None = None,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> ModerationRequest:
    """A moderator's request, with its texts as they are kept. Raises Invalid."""
    if rule := id_problem(user_id):
        raise Invalid(f"A user id must be {rule}")
    if type(amount) is not int or (amount != 0) != (action is Action.ADJUST):
        raise Invalid("adjust, and only adjust, takes an amount: a whole number that is not 0.")
    if name is not None and action is not Action.RENAME:
        raise Invalid("Only rename takes a name.")
    if until is not None and action is not Action.BAN:
        raise Invalid("Only ban takes an end.")
    if until is not None and not (type(until) is int and 0 < until < audit_trail.MAX_UNTIL):
        raise Invalid("A ban ends before the year 10000, or is for good.")
    return ModerationRequest(
        user_id=user_id,
        action=action,
        actor=audit_trail.check_actor(actor),
        reason=audit_trail.clean_reason(reason),
        entry_id=new_entry_id() if entry_id is None else _checked_id(entry_id),
        amount=amount,
        name=None if name is None else _checked_name(name),
        until=until,
    )


def _checked_id(entry_id: str) -> str:
    rest = entry_id.removeprefix(audit_trail.PREFIX)
    if rest == entry_id or not KEY_PATTERN.fullmatch(rest):
        raise Invalid(f"The id of a moderation entry is MOD# and {ID_RULE}")
    return entry_id


def _checked_name(name: str) -> str:
    try:
        return clean_name(name)
    except BadName as error:
        raise Invalid(str(error)) from error

"""The audit trail of moderation: the fields of its ledger entries, and their export. Pure rules, no store.

An erasure removes the texts that people wrote: names, reasons (free text about a person), and the player as
the actor of own renames. It keeps ids, keys, hashes, numbers, states and times, because the ledger must still
add up and a repeated update must still be recognized.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import unicodedata2 as unicodedata

from scores.rules.actions import Action
from scores.rules.entries import Entry
from scores.rules.errors import Invalid
from scores.rules.players import Player

MAX_REASON = 500
MAX_ACTOR = 150
_TOO_LONG = f"A reason has at most {MAX_REASON} characters."
#: Ids of moderation entries begin with this. An idempotency key cannot.
PREFIX = "MOD#"
#: Bans end before this time (ms), the year 10000.
MAX_UNTIL = 253_402_300_800_000
#: The actor of automatic actions, such as the end of a ban.
SYSTEM = "scoreboard"
#: Replaces an erased player as the actor of own renames.
FORMER_PLAYER = "player"

# Controls, surrogates, private use, unassigned, line and paragraph separators.
_REFUSED = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
# Bidi controls make a line read differently from how it is written.
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_reason(text: str) -> str:
    """A moderator's reason as it is stored: NFC, 1 … MAX_REASON characters, without blanks around it.

    It may have several lines. Raises Invalid.
    """
    if len(text) > 8 * MAX_REASON:  # cannot get short enough, and takes long to normalize
        raise Invalid(_TOO_LONG)
    reason: str = unicodedata.normalize("NFC", text.replace("\r\n", "\n").expandtabs(1)).strip()
    if not any(unicodedata.category(char)[0] in "LNSP" for char in reason):
        raise Invalid("A reason is needed.")
    if len(reason) > MAX_REASON:
        raise Invalid(_TOO_LONG)
    if any(char != "\n" and (unicodedata.category(char) in _REFUSED or char in _BIDI) for char in reason):
        raise Invalid("A reason cannot hold control characters.")
    return reason


def check_actor(actor: str) -> str:
    """`actor` unchanged. Raises Invalid when it cannot be stored."""
    if not actor or actor != actor.strip() or len(actor) > MAX_ACTOR or not _is_printable(actor):
        raise Invalid(f"The actor must be 1 to {MAX_ACTOR} printable characters.")
    return actor


def _is_printable(text: str) -> bool:
    categories = {unicodedata.category(char) for char in text if char != " "}
    return not categories & (_REFUSED | {"Cf", "Zs"})


def summary(player: Player) -> str:
    """The player as a JSON object, for the fields `before` and `after`."""
    return json.dumps(
        {
            "score": player.score,
            "name": player.name,
            "state": player.state.value,
            "bannedUntil": player.banned_until,
        }
    )


def without_personal_data(entry: Entry) -> Entry:
    """`entry` without the texts that an erasure removes; equal to `entry` when it has none.

    The reason of an erasure stays, because it explains why the texts are missing.
    """
    return dataclasses.replace(
        entry,
        actor=FORMER_PLAYER if entry.actor == entry.user_id else entry.actor,
        reason=entry.reason if entry.kind == Action.ERASE.value else None,
        before=_without_name(entry.before),
        after=_without_name(entry.after),
    )


def _without_name(summarized: str | None) -> str | None:
    if summarized is None:
        return None
    values = json.loads(summarized)
    return summarized if values["name"] is None else json.dumps(values | {"name": None})


def audit_line(entry: Entry) -> dict[str, Any]:
    """A moderation entry in the form of the export."""
    return {
        "at": iso(entry.at),
        "actor": entry.actor,
        "action": entry.kind,
        "userId": entry.user_id,
        "reason": entry.reason or None,
        "increment": entry.increment,
        "newScore": entry.new_score,
        "version": entry.version,
        "before": json.loads(entry.before or "null"),
        "after": json.loads(entry.after or "null"),
        "entryId": entry.entry_id,
    }


def iso(ms: int) -> str:
    """A time (ms, before MAX_UNTIL) as UTC text with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

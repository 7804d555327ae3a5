"""What a moderation leaves in the ledger: who, what, why, before, after, when. Pure rules, no store.

And what of it stays when the player is erased. The ledger must go on adding up and a repeated update must
go on being the same update, so ids, keys, hashes, numbers, states and times stay. What people wrote goes:
names, reasons (free text about a person), and the player as the actor of own renames.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

from scores.rules.actions import Action
from scores.rules.entries import Entry
from scores.rules.errors import Invalid
from scores.rules.players import Player

MAX_REASON = 500
MAX_ACTOR = 150
#: Ids of moderation entries begin with this, which no idempotency key can.
PREFIX = "MOD#"
#: Bans end before this (ms): the year 10000. A longer one is for good.
MAX_UNTIL = 253_402_300_800_000
#: The actor of what happens by itself, such as the end of a ban.
SYSTEM = "scoreboard"
#: What an erased player is called as the actor of own renames.
FORMER_PLAYER = "player"

# Controls, surrogates, private use, unassigned, line and paragraph separators.
_REFUSED = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
# Bidi controls make a line of the record read otherwise than it is written.
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_reason(text: str) -> str:
    """A moderator's reason as it is kept: NFC, no blanks around it, 1 … MAX_REASON characters, lines allowed.

    Raises Invalid.
    """
    reason = unicodedata.normalize("NFC", text.replace("\r\n", "\n").expandtabs(1)).strip()
    if not any(unicodedata.category(char)[0] in "LNSP" for char in reason):
        raise Invalid("A reason is needed.")
    if len(reason) > MAX_REASON:
        raise Invalid(f"A reason has at most {MAX_REASON} characters.")
    if any(char != "\n" and (unicodedata.category(char) in _REFUSED or char in _BIDI) for char in reason):
        raise Invalid("A reason cannot hold control characters.")
    return reason


def check_actor(actor: str) -> str:
    """Whoever acts, as it is kept. Raises Invalid."""
    if not actor or actor != actor.strip() or len(actor) > MAX_ACTOR or not actor.isprintable():
        raise Invalid(f"The actor must be 1 to {MAX_ACTOR} printable characters.")
    return actor


def summary(player: Player) -> str:
    """What `before` and `after` hold: a JSON object."""
    return json.dumps(
        {
            "score": player.score,
            "name": player.name,
            "state": player.state.value,
            "bannedUntil": player.banned_until,
        }
    )


def without_personal_data(entry: Entry) -> Entry:
    """What is left of an entry when its player has been erased; the same entry when nothing had to go.

    The reason of an erasure stays: it is why the rest is gone.
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
    """A moderation entry as it is exported."""
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
    """An instant (ms, before MAX_UNTIL) as UTC text with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

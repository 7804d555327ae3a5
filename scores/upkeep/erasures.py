"""What the table is owed: bans end when their time has come, erased players leave no personal data behind.

Both start from the table alone, so they go on while Redis is away, and both may be done by any number of
processes at once, or be left half done by one that dies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from scores.board import merging, services
from scores.moderation import moderating
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.errors import ScoreboardError
from scores.rules.players import State
from scores.stores import ledger, repository

logger = logging.getLogger(__name__)

_BANS_PER_ROUND = 100
_MARKS_PER_ROUND = 25
#: Entries that are swept between two notes of how far the sweep has come.
SWEEP_PAGE = 25
#: Time (s) that each of the two takes of one round: the board comes first.
PER_ROUND_S = 0.5


def do_round() -> None:
    """One round of both. Raises Unavailable or Throttled."""
    end_bans()
    sweep_erased(within_s=PER_ROUND_S)


def end_bans() -> None:
    """Make players active again whose ban has ended, for about PER_ROUND_S.

    Raises Unavailable or Throttled.
    """
    deadline = time.monotonic() + PER_ROUND_S
    for user_id in repository.ended_bans(services.now_ms(), _BANS_PER_ROUND):
        player = repository.read_player(user_id)
        if player is None or player.state is not State.BANNED or player.is_banned(services.now_ms()):
            continue  # the index is behind
        try:
            moderating.moderate(
                user_id=user_id,
                action=Action.UNBAN,
                actor=audit_trail.SYSTEM,
                reason="the ban ended",
                expected_version=player.version,
            )
        except ScoreboardError as error:
            logger.info("ending the ban of a player is left to the next round: %s", error.code)
        if time.monotonic() > deadline:
            break


def sweep_erased(*, within_s: float | None = None, progress: Callable[[str, int], None] | None = None) -> int:
    """Strip personal data from the ledgers of erased players; the number of players that are done.

    Stops after about `within_s`, to be continued; None: when no player is left. `progress` is told
    (user id, entries looked at).

    Raises Unavailable or Throttled; the next sweep goes on from there.
    """
    deadline = None if within_s is None else time.monotonic() + within_s
    done = 0
    while marks := ledger.marks(_MARKS_PER_ROUND):
        for mark in marks:
            if not _sweep(mark, deadline, progress):
                return done
            done += 1
        if deadline is not None:  # the rest is the next round's
            break
    return done


def _sweep(mark: ledger.Mark, deadline: float | None, progress: Callable[[str, int], None] | None) -> bool:
    """Whether there was time to sweep all of the player."""
    current: ledger.Mark | None = mark
    seen = 0
    while current and (page := ledger.moderations(mark.user_id, current.after, SWEEP_PAGE)):
        for entry in page:
            left = audit_trail.without_personal_data(entry)
            if entry.version <= mark.up_to and left != entry:
                ledger.replace(left)
        seen += len(page)
        if progress:
            progress(mark.user_id, seen)
        if len(page) < SWEEP_PAGE:
            break
        current = ledger.advance(current, page[-1].entry_id)
        if deadline is not None and time.monotonic() > deadline:
            return False
    if current:
        merging.merge([services.read_player(mark.user_id)])  # a lost merge has left the name in Redis
        ledger.settle(current)
        logger.info("personal data of an erased player is swept from the ledger")
    return True

"""Sweeping personal data out of the ledgers of erased players.

The marks in the table say what is left to do. So the sweep goes on while Redis is away, any number of
processes may do it at once, and a process can finish the sweep of one that died.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from scores.board.merging import merge
from scores.board.scoreboard import Scoreboard
from scores.rules import audit_trail
from scores.stores import erasure_marks, ledger
from scores.stores.erasure_marks import Mark

logger = logging.getLogger(__name__)

_MARKS_PER_ROUND = 25
#: Entries to sweep between two notes of how far the sweep has come.
SWEEP_PAGE = 25
#: The share (s) of one round of reconciling: the board comes first.
PER_ROUND_S = 0.5


def sweep_erased(
    scoreboard: Scoreboard,
    *,
    within_s: float | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> int:
    """Strip personal data from the ledgers of erased players; the number of players that are done.

    Stops after about `within_s`, to be continued; None: when no player is left. `progress` is told
    (user id, entries looked at).

    Raises Unavailable or Throttled; the next sweep goes on from there.
    """
    deadline = None if within_s is None else time.monotonic() + within_s
    done = 0
    while marks := erasure_marks.marks(_MARKS_PER_ROUND):
        for mark in marks:
            if not _sweep(scoreboard, mark, deadline, progress):
                return done
            done += 1
        if deadline is not None:  # the rest is the next round's
            break
    return done


def _sweep(
    scoreboard: Scoreboard,
    mark: Mark,
    deadline: float | None,
    progress: Callable[[str, int], None] | None,
) -> bool:
    """Whether there was time to sweep all of the player."""
    current: Mark | None = mark
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
        current = erasure_marks.advance(current, page[-1].entry_id)
        if deadline is not None and time.monotonic() > deadline:
            return False
    if current:
        merge(scoreboard, [scoreboard.players.read(mark.user_id)])  # a lost merge has left the name in Redis
        erasure_marks.settle(current)
        logger.info("personal data of an erased player is swept from the ledger")
    return True

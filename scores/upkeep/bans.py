"""Ending bans whose time has come."""

from __future__ import annotations

import logging
import time

from scores.board.scoreboard import Scoreboard
from scores.moderation.moderating import moderate
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.errors import ScoreboardError
from scores.rules.players import State

logger = logging.getLogger(__name__)

_BANS_PER_ROUND = 100
#: The share (s) of one round of reconciling: the board comes first.
PER_ROUND_S = 0.5


def end_bans(scoreboard: Scoreboard) -> None:
    """Make players active again whose ban has ended, for about PER_ROUND_S.

    The index Flagged names them, so this needs no Redis, and any number of processes may do it at once.

    Raises Unavailable or Throttled.
    """
    deadline = time.monotonic() + PER_ROUND_S
    for user_id in scoreboard.players.ended_bans(scoreboard.now_ms(), _BANS_PER_ROUND):
        player = scoreboard.players.read(user_id)
        if player.state is not State.BANNED or player.is_banned(scoreboard.now_ms()):
            continue  # the index is behind
        try:
            moderate(
                scoreboard,
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

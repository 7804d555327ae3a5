"""The floor: the score from which on the sparse index is complete.

A writer leaves a player out of the index only below a floor in force, and no floor is in force that the table
has not recorded first. So the index is complete from the recorded floor upwards. When too few players are
left above it (mass bans), the floor is dropped, the table is scanned, and a new floor is recorded.
"""

from __future__ import annotations

import logging

from scores.board.scoreboard import Scoreboard
from scores.rules.players import Player
from scores.stores.ranking import Ranking
from scores.stores.tables import TableState
from scores.upkeep import rebuild

logger = logging.getLogger(__name__)

#: A floor is in force for 10 s; it is written again when it is older than this (s).
FLOOR_DUE_S = 4.0


def is_due(ranking: Ranking) -> bool:
    """Whether the floor must be written again. Raises RankingUnavailable."""
    age = ranking.floor_age_s()
    return age is None or age > FLOOR_DUE_S


def set_floor(
    scoreboard: Scoreboard, ranking: Ranking, state: TableState, verified: list[Player], indexed: set[str]
) -> None:
    """Put the score at FLOOR_RANK of the `verified` players (best first) in force, or drop the floor.

    `indexed` are the ids of players in the index. Raises RankingUnavailable, Unavailable or Throttled.
    """
    recorded, dropped_at = int(state.floor), state.floor_dropped_at
    contenders = sum(p.score >= recorded for p in verified)
    if dropped_at is None and (recorded == 0 or contenders >= rebuild.MIN_CONTENDERS):
        floor = verified[rebuild.FLOOR_RANK - 1].score if len(verified) >= rebuild.FLOOR_RANK else 0
        if floor <= recorded or scoreboard.players.raise_floor(floor):
            ranking.set_floor(floor)
        return
    ranking.clear_floor()
    if dropped_at is None:
        logger.warning("only %d players are left above the floor %d: it is dropped", contenders, recorded)
        scoreboard.players.drop_floor(scoreboard.now_ms())
        scoreboard.remember_floor(0)
    for player in verified[: rebuild.FLOOR_RANK]:
        if player.user_id not in indexed:
            scoreboard.players.promote(player)
    # Scan at once, for a player that neither list had, and again to record a new floor.
    if dropped_at is None or scoreboard.now_ms() >= dropped_at + rebuild.FLOOR_GRACE_MS:
        rebuild.rebuild_ranking(scoreboard, full=True)

"""Reconciling: comparing the ranking with the table every two seconds, and repairing what differs.

The table decides, everything else nominates. Two lists say which players can be on the board: the top of the
ranking and the top of the sparse index. scores/upkeep/floor.py says from which score on the index is
complete.
"""

from __future__ import annotations

import logging
import time

from scores.board.merging import drop, merge
from scores.board.scoreboard import Scoreboard
from scores.rules.players import Player, in_order
from scores.stores.cache import RankingUnavailable
from scores.stores.ranking import Ranking
from scores.telemetry import metrics
from scores.upkeep import bans, erasures, floor, rebuild

logger = logging.getLogger(__name__)

#: Players of each list that every round checks against the table.
NOMINATED = 50
#: A round looks again after a repair, at most this often.
PASSES = 10
#: One round in this time (ms), whichever process does it.
LOCK_MS = 1500
#: A merge of a request that is still running gets this time (s) before it counts as lost.
MERGE_GRACE_S = 0.15
_UNMERGED_PER_ROUND = 200


def reconcile_ranking(scoreboard: Scoreboard) -> int:
    """One round of comparing the ranking with the table; returns the number of repaired players.

    While another process does the round, this one only repeats its own failed merges. Rebuilds the ranking
    when it is not ready.

    Raises RankingUnavailable or Unavailable.
    """
    state = scoreboard.players.read_state()
    ranking = scoreboard.use_generation(state.generation)
    scoreboard.remember_floor(0 if state.floor_dropped_at is not None else int(state.floor))
    try:
        repaired = _repair_unmerged(scoreboard, ranking)
        if ranking.lock("reconcile", LOCK_MS) is None:
            return repaired
    except RankingUnavailable:
        # These need the table only, and no process can tell whether another one does them.
        bans.end_bans(scoreboard)
        erasures.sweep_erased(scoreboard, within_s=erasures.PER_ROUND_S)
        raise
    if not ranking.is_ready():
        rebuild.rebuild_ranking(scoreboard)
        return repaired
    bans.end_bans(scoreboard)
    floor_due = floor.is_due(ranking)
    depth = rebuild.FLOOR_RANK if floor_due else NOMINATED
    for _ in range(PASSES):
        indexed = [user_id for user_id, _ in scoreboard.players.nominees(depth)]
        nominated = list(dict.fromkeys(ranking.top(depth) + indexed))
        stored = scoreboard.players.read_many(nominated)
        found = _repair(scoreboard, ranking, nominated, stored)
        repaired += found
        if not found:  # else others have moved up, and nobody has checked them
            break
    if floor_due:
        floor.set_floor(scoreboard, ranking, state, in_order(stored.values()), set(indexed))
    erasures.sweep_erased(scoreboard, within_s=erasures.PER_ROUND_S)
    return repaired


def _repair(scoreboard: Scoreboard, ranking: Ranking, nominated: list[str], stored: dict[str, Player]) -> int:
    merged = ranking.versions(nominated)
    late = [p for p in stored.values() if p.version > merged.get(p.user_id, 0)]
    gone = {user_id: version for user_id, version in merged.items() if user_id not in stored}
    if not late and not gone:
        return 0
    time.sleep(MERGE_GRACE_S)
    repaired = merge(scoreboard, late).newer + drop(scoreboard, gone).newer
    if repaired:
        scoreboard.repairs += repaired
        metrics.record(metrics.RANKING_REPAIRS, repaired)
        logger.warning("repaired %d players in the ranking", repaired)
    return repaired


def _repair_unmerged(scoreboard: Scoreboard, ranking: Ranking) -> int:
    unmerged = scoreboard.unmerged.take(_UNMERGED_PER_ROUND)
    if not unmerged:
        return 0
    try:
        return _repair(scoreboard, ranking, unmerged, scoreboard.players.read_many(unmerged))
    except Exception:
        scoreboard.unmerged.add(unmerged)
        raise

"""Filling the ranking from the table: its top from the index, or every player from a scan."""

from __future__ import annotations

import contextlib
import heapq
import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice

from django.conf import settings

from scores.board.merging import announce
from scores.board.scoreboard import Scoreboard
from scores.rules.players import MAX_SCORE, Player
from scores.stores.cache import RankingUnavailable
from scores.stores.ranking import Ranking
from scores.stores.tables import TableState

logger = logging.getLogger(__name__)

#: The floor is the score at this rank.
FLOOR_RANK = 200
#: With fewer players than this in the index above the recorded floor, the floor is too high.
MIN_CONTENDERS = 100
#: This long (ms) after the floor was dropped, no update that still uses it is running: a floor is in force
#: for 10 s, an update takes 2 s, and clocks differ.
FLOOR_GRACE_MS = 15_000
#: One scan for the ranking at a time, whichever process does it. The lock of a process that died blocks
#: others for this long (ms). Two scans at once would do no harm.
SCAN_LOCK_MS = 2000
_BATCH = 200


def rebuild_ranking(
    scoreboard: Scoreboard,
    *,
    full: bool = False,
    pace: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Merge the top of the table into the ranking and declare it ready; `full`: every player.

    The whole table is scanned, too, when the index holds fewer than MIN_CONTENDERS players at or above
    the recorded floor. `pace` is the most players to read per second, `progress` is told how many have
    been merged. Runs together with live traffic: merging is commutative.

    Returns False when another process is scanning, when the ranking was flushed meanwhile, or when a scan is
    needed and left to another process (settings.SCOREBOARD_MAY_SCAN).
    Raises RankingUnavailable, Unavailable or Throttled.
    """
    state = scoreboard.players.read_state()
    ranking = scoreboard.use_generation(state.generation)
    epoch = ranking.epoch()
    nominated = scoreboard.players.nominees(FLOOR_RANK)
    scan = full or sum(score >= state.floor for _, score in nominated) < MIN_CONTENDERS
    if scan and not settings.SCOREBOARD_MAY_SCAN:
        logger.info("the ranking waits for the process that may scan the table")
        return False
    if not scan:
        ranking.merge(scoreboard.players.read_many(user_id for user_id, _ in nominated).values())
    elif not _merge_all(scoreboard, ranking, state, pace, progress):
        return False
    revision = ranking.mark(epoch, full=scan)
    if revision is None:
        logger.warning("the ranking was flushed while it was being rebuilt")
        return False
    announce(scoreboard, revision)
    logger.info("the ranking is ready%s", " and full" if scan else "")
    return True


def _merge_all(
    scoreboard: Scoreboard,
    ranking: Ranking,
    state: TableState,
    pace: float | None,
    progress: Callable[[int], None] | None,
) -> bool:
    """Scan, merge, record the floor if it is due; False when another process is scanning."""
    token = ranking.lock("scan", SCAN_LOCK_MS)
    if token is None:
        return False
    try:
        _scan_and_merge(scoreboard, ranking, token, state, pace, progress)
    finally:
        with contextlib.suppress(RankingUnavailable):  # it ends by itself
            ranking.unlock("scan", token)
    return True


def _scan_and_merge(
    scoreboard: Scoreboard,
    ranking: Ranking,
    token: str,
    state: TableState,
    pace: float | None,
    progress: Callable[[int], None] | None,
) -> None:
    started, started_at = time.monotonic(), scoreboard.now_ms()
    merged = 0
    best: list[tuple[str, bool, Player]] = []  # a heap of the FLOOR_RANK best: (rank key, indexed, player)
    size = min(_BATCH, max(1, int(pace or _BATCH)))  # a second's worth, within the lock's time
    for batch in _batches(scoreboard.players.scan(), size):
        ranking.merge(player for player, _ in batch)
        ranking.keep("scan", token, SCAN_LOCK_MS)
        for player, indexed in batch:
            if player.visible:
                push = heapq.heappush if len(best) < FLOOR_RANK else heapq.heappushpop
                push(best, (player.rank_key, indexed, player))
        merged += len(batch)
        if progress:
            progress(merged)
        if pace:
            time.sleep(max(0.0, merged / pace - (time.monotonic() - started)))
    for _, indexed, player in best:
        if not indexed:
            scoreboard.players.promote(player)
    dropped_at = state.floor_dropped_at
    if dropped_at is not None and started_at >= dropped_at + FLOOR_GRACE_MS:
        # Nobody below the last one was checked, and others may share its score: start above it.
        floor = best[0][2].score + 1 if len(best) == FLOOR_RANK else 0
        scoreboard.players.settle_floor(min(floor, MAX_SCORE), int(dropped_at))


def _batches(players: Iterator[tuple[Player, bool]], size: int) -> Iterator[list[tuple[Player, bool]]]:
    while batch := list(islice(players, size)):
        yield batch

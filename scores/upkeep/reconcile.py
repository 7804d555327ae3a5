"""Keeping the ranking true: reconcile, rebuild, the floor, and checking the ledger.

The table decides, everything else nominates. Which players can be on the board is known from two lists:
the top of the ranking and the top of the sparse index. The index is complete from the table's recorded
`floor` upwards, because a writer leaves a player out of it only below a floor in force, and no floor is
in force that is not recorded first. When too few players are left above that level (mass bans), the
floor is dropped, the table is scanned, and a new level is recorded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice

from django.conf import settings

from scores.board import merging, services
from scores.rules.entries import chain_problem
from scores.rules.errors import Unavailable
from scores.rules.players import MAX_SCORE, Player, in_order
from scores.stores import repository
from scores.stores.ranking import Ranking, RankingUnavailable
from scores.stores.tables import TableState
from scores.telemetry import metrics
from scores.upkeep import erasures

logger = logging.getLogger(__name__)

#: Players of each list that every round checks against the table.
NOMINATED = 50
#: A round looks again after a repair, at most this often.
PASSES = 10
#: The floor is the score at this rank; as many players of each list are checked when it is due.
FLOOR_RANK = 200
#: With fewer players than this in the index above the recorded floor, the floor is too high.
MIN_CONTENDERS = 100
#: The floor is in force for 10 s; it is written again when older than this (s).
FLOOR_DUE_S = 4.0
#: This long (ms) after the floor was dropped, no update that still uses it is under way: a floor is in
#: force for 10 s, an update takes 2 s, and clocks differ.
FLOOR_GRACE_MS = 15_000
#: One reconcile in this time (ms), whichever process does it.
RECONCILE_LOCK_MS = 1500
#: One scan for the ranking at a time, whichever process does it; a killed one is in nobody's way for longer
#: than this (ms). Two at once would do no harm.
SCAN_LOCK_MS = 2000
#: A merge that belongs to a request under way is given this time (s) before it counts as lost.
MERGE_GRACE_S = 0.15
_BATCH = 200

#: Merges that had been lost and were repaired by this process: 0 in normal life.
ranking_repairs_total = 0


def reconcile_ranking() -> int:
    """One round of comparing the ranking with the table; returns the number of repaired players.

    While another process has the round, only this process's failed merges are repeated. Rebuilds the
    ranking when it is not ready.

    Raises RankingUnavailable or Unavailable.
    """
    state = repository.read_state()
    ranking = merging.use_generation(state.generation)
    merging.remember_floor(0 if state.floor_dropped_at is not None else int(state.floor))
    try:
        repaired = _repair_unmerged(ranking)
        if ranking.lock("reconcile", RECONCILE_LOCK_MS) is None:
            return repaired
    except RankingUnavailable:
        erasures.do_round()  # needs the table only, and no process can tell whether another does it
        raise
    if not ranking.is_ready():
        rebuild_ranking()
        return repaired
    erasures.end_bans()
    age = ranking.floor_age_s()
    floor_due = age is None or age > FLOOR_DUE_S
    depth = FLOOR_RANK if floor_due else NOMINATED
    for _ in range(PASSES):
        indexed = [user_id for user_id, _ in repository.nominees(depth)]
        nominated = list(dict.fromkeys(ranking.top(depth) + indexed))
        stored = repository.read_players(nominated)
        found = _repair(ranking, nominated, stored)
        repaired += found
        if not found:  # else others have moved up, whom nobody has checked
            break
    if floor_due:
        _set_floor(ranking, state, in_order(stored.values()), set(indexed))
    erasures.sweep_erased(within_s=erasures.PER_ROUND_S)
    return repaired


def _repair(ranking: Ranking, nominated: list[str], stored: dict[str, Player]) -> int:
    global ranking_repairs_total
    merged = ranking.versions(nominated)
    late = [p for p in stored.values() if p.version > merged.get(p.user_id, 0)]
    gone = {user_id: version for user_id, version in merged.items() if user_id not in stored}
    if not late and not gone:
        return 0
    time.sleep(MERGE_GRACE_S)
    repaired = merging.merge(late).newer + merging.drop(gone).newer
    if repaired:
        ranking_repairs_total += repaired
        metrics.record(metrics.RANKING_REPAIRS, repaired)
        logger.warning("repaired %d players in the ranking", repaired)
    return repaired


def _repair_unmerged(ranking: Ranking) -> int:
    unmerged = merging.unmerged(_BATCH)
    if not unmerged:
        return 0
    repaired = _repair(ranking, unmerged, repository.read_players(unmerged))
    merging.forget_unmerged(unmerged)
    return repaired


# --- The floor --------------------------------------------------------------------------------------


def _set_floor(ranking: Ranking, state: TableState, verified: list[Player], indexed: set[str]) -> None:
    """Put the score at FLOOR_RANK of the `verified` players (best first) in force, or drop the floor."""
    recorded, dropped_at = int(state.floor), state.floor_dropped_at
    contenders = sum(p.score >= recorded for p in verified)
    if dropped_at is None and (recorded == 0 or contenders >= MIN_CONTENDERS):
        floor = verified[FLOOR_RANK - 1].score if len(verified) >= FLOOR_RANK else 0
        if floor <= recorded or repository.raise_floor(floor):
            ranking.set_floor(floor)
        return
    ranking.clear_floor()
    if dropped_at is None:
        logger.warning("only %d players are left above the floor %d: it is dropped", contenders, recorded)
        repository.drop_floor(services.now_ms())
        merging.remember_floor(0)
    for player in verified[:FLOOR_RANK]:
        if player.user_id not in indexed:
            repository.promote(player)
    # Scan at once, for a player that neither list knew, and again to record a new level.
    if dropped_at is None or services.now_ms() >= dropped_at + FLOOR_GRACE_MS:
        rebuild_ranking(full=True)


# --- Rebuilding -------------------------------------------------------------------------------------


def rebuild_ranking(
    *, full: bool = False, pace: float | None = None, progress: Callable[[int], None] | None = None
) -> bool:
    """Merge the top of the table into the ranking and declare it ready; `full`: every player.

    The whole table is scanned, too, when the index holds fewer than MIN_CONTENDERS players at or above
    the recorded floor. `pace` is the most players to read per second, `progress` is told how many have
    been merged. Runs together with live traffic: merging is commutative.

    Returns False when another process is scanning, when the ranking was flushed meanwhile, or when a scan is
    needed and left to another process (settings.SCOREBOARD_MAY_SCAN).
    Raises RankingUnavailable, Unavailable or Throttled.
    """
    state = repository.read_state()
    ranking = merging.use_generation(state.generation)
    epoch = ranking.epoch()
    nominated = repository.nominees(FLOOR_RANK)
    scan = full or sum(score >= state.floor for _, score in nominated) < MIN_CONTENDERS
    if scan and not settings.SCOREBOARD_MAY_SCAN:
        logger.info("the ranking waits for the process that may scan the table")
        return False
    if not scan:
        ranking.merge(repository.read_players(user_id for user_id, _ in nominated).values())
    elif not _merge_all(ranking, state, pace, progress):
        return False
    revision = ranking.mark(epoch, full=scan)
    if revision is None:
        logger.warning("the ranking was flushed while it was being rebuilt")
        return False
    merging.announce(revision)
    logger.info("the ranking is ready%s", " and full" if scan else "")
    return True


def _merge_all(
    ranking: Ranking, state: TableState, pace: float | None, progress: Callable[[int], None] | None
) -> bool:
    """Scan, merge, record the floor if it is due; False when another process is scanning."""
    token = ranking.lock("scan", SCAN_LOCK_MS)
    if token is None:
        return False
    try:
        _scan_and_merge(ranking, token, state, pace, progress)
    finally:
        with contextlib.suppress(RankingUnavailable):  # it ends by itself
            ranking.unlock("scan", token)
    return True


def _scan_and_merge(
    ranking: Ranking,
    token: str,
    state: TableState,
    pace: float | None,
    progress: Callable[[int], None] | None,
) -> None:
    started, started_at = time.monotonic(), services.now_ms()
    merged = 0
    best: list[tuple[str, bool, Player]] = []  # a heap of the FLOOR_RANK best: (rank key, indexed, player)
    size = min(_BATCH, max(1, int(pace or _BATCH)))  # a second's worth, within the lock's time
    for batch in _batches(repository.scan_players(), size):
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
            repository.promote(player)
    dropped_at = state.floor_dropped_at
    if dropped_at is not None and started_at >= dropped_at + FLOOR_GRACE_MS:
        # Nobody below the last one was checked, and others may share its score: start above it.
        floor = best[0][2].score + 1 if len(best) == FLOOR_RANK else 0
        repository.settle_floor(min(floor, MAX_SCORE), int(dropped_at))


def _batches(players: Iterator[tuple[Player, bool]], size: int) -> Iterator[list[tuple[Player, bool]]]:
    while batch := list(islice(players, size)):
        yield batch


# --- The ledger -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """A player whose ledger does not add up, and where."""

    user_id: str
    problem: str


def verify_ledger(*, progress: Callable[[int, int], None] | None = None) -> tuple[int, list[Broken]]:
    """Check every player's ledger chain; returns (players checked, those that are broken).

    A player whose version moved during the check is read again. `progress` is told (done, total).

    Raises Unavailable or Throttled.
    """
    user_ids = {player.user_id for player, _ in repository.scan_players()}
    user_ids.update(repository.scan_ledger_ids())
    broken = []
    for done, user_id in enumerate(sorted(user_ids), start=1):
        problem = _chain_problem(user_id)
        if problem:
            broken.append(Broken(user_id, problem))
        if progress:
            progress(done, len(user_ids))
    return len(user_ids), broken


def _chain_problem(user_id: str, tries: int = 20) -> str | None:
    for _ in range(tries):
        before = repository.read_player(user_id) or Player(user_id)
        entries = repository.read_ledger(user_id)
        player = repository.read_player(user_id) or Player(user_id)
        if before.version == player.version:
            retention_ms = settings.SCOREBOARD_LEDGER_DAYS * 86_400_000
            return chain_problem(entries, player, retention_ms, services.now_ms())
    raise Unavailable(f"{user_id} is being written too often to be checked; try again.")

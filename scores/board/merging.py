"""Merging stored players into the ranking, and announcing a changed board.

Redis trouble ends here: it is logged, counted, and the players concerned are kept for the reconciler.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from scores.board.scoreboard import Scoreboard, board_changed
from scores.rules.players import Player
from scores.stores.cache import RankingUnavailable
from scores.stores.ranking import Merge
from scores.telemetry import metrics

logger = logging.getLogger(__name__)

#: A merge that must not be lost is repeated for this long (s). Redis has then been away for other processes
#: as well, and they do not trust its board when it is back (cache.DOUBT_S).
INSIST_S = 2.5
_INSIST_EVERY_S = 0.1


def merge(scoreboard: Scoreboard, players: Iterable[Player]) -> Merge:
    """Merge stored players and announce a changed board. The reconciler repeats a merge that fails."""
    players = list(players)
    try:
        return _merge(scoreboard, players)
    except RankingUnavailable as error:
        logger.warning("merge of %d players is left to the reconciler: %s", len(players), error)
        metrics.record(metrics.MERGES_LEFT, len(players))
        scoreboard.unmerged.add(player.user_id for player in players)
        return Merge(0, None)


def insist(scoreboard: Scoreboard, players: Iterable[Player]) -> Merge:
    """Merge, and again after a failure until Redis has been away for INSIST_S (s).

    A single failure on the way to Redis, unknown to other processes, would otherwise leave a banned player on
    the board until the reconciler's next round.
    """
    players = list(players)
    until = time.monotonic() + INSIST_S
    while time.monotonic() < until and scoreboard.cache.breaker.open_s < INSIST_S:
        try:
            return _merge(scoreboard, players)
        except RankingUnavailable:
            time.sleep(_INSIST_EVERY_S)
    return merge(scoreboard, players)


def _merge(scoreboard: Scoreboard, players: list[Player]) -> Merge:
    merged = scoreboard.ranking().merge(players)
    announce(scoreboard, merged.revision)
    return merged


def drop(scoreboard: Scoreboard, versions: dict[str, int]) -> Merge:
    """Remove players from the ranking that are not in the table (see Ranking.drop), and announce."""
    dropped = scoreboard.ranking().drop(versions)
    announce(scoreboard, dropped.revision)
    return dropped


def announce(scoreboard: Scoreboard, revision: int | None) -> None:
    """Tell all hubs that the board has a new revision; None: it has not."""
    if revision is not None:
        metrics.record(metrics.BOARD_CHANGES)
        board_changed.send_robust(sender=scoreboard, revision=revision)  # a receiver must not fail an update


def raise_revision(scoreboard: Scoreboard, *, seen: int) -> None:
    """Lift the ranking's revision above `seen`, which a viewer has had (failover to an older copy)."""
    try:
        scoreboard.ranking().raise_revision(seen)
    except RankingUnavailable:
        logger.warning("could not raise the revision above %d", seen)

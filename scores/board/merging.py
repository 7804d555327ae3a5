"""The ranking as the services use it: which generation is current, merging, announcing.

Redis trouble ends here: it is logged, counted, and the players concerned are kept for the reconciler.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice

from realtime import broadcaster
from scores.rules.errors import Unavailable
from scores.rules.players import Player
from scores.stores import repository
from scores.stores.ranking import Merge, Ranking, RankingUnavailable, away_s
from scores.telemetry import metrics

logger = logging.getLogger(__name__)

_state_lock = threading.Lock()
_current: Ranking | None = None
#: Players whose merge failed in this process, for the reconciler. Bounded: the oldest are forgotten.
_unmerged: OrderedDict[str, None] = OrderedDict()
_UNMERGED_MAX = 10_000
#: So long (s) Redis is asked again for a merge that must not be lost. Other processes have then missed it as
#: well, and do not believe its board when it is back (ranking.DOUBT_S).
INSIST_S = 2.5
_INSIST_EVERY_S = 0.1
#: How long (s) the floor that the table records may be used after it was read. With the two seconds of an
#: update that is over long before a dropped floor is recorded anew (maintenance.FLOOR_GRACE_MS).
RECORDED_FLOOR_S = 8.0
#: (floor, when it was read).
_recorded_floor = (0, float("-inf"))


def use_generation(generation: str) -> Ranking:
    """The ranking of this generation, for this process from now on."""
    global _current
    with _state_lock:
        if _current is None or _current.generation != generation:
            _current = Ranking(generation)
        return _current


def current_ranking() -> Ranking:
    """Raises RankingUnavailable while the table's generation is not known."""
    if _current is not None:
        return _current
    try:
        return use_generation(repository.read_state().generation)
    except Unavailable as error:
        raise RankingUnavailable("the table's generation is not known") from error


def remember_floor(floor: int) -> None:
    """The table has just been seen to record this floor; 0: none may be used."""
    global _recorded_floor
    _recorded_floor = (floor, time.monotonic())


def recorded_floor() -> int:
    """The floor to go by while Redis does not say which is in force; 0: index everybody.

    The index is complete from the recorded floor upwards in any case. Without this, all updates would
    go to the one partition of the index while Redis is away, and DynamoDB would refuse most of many.
    """
    floor, read_at = _recorded_floor
    return floor if time.monotonic() - read_at < RECORDED_FLOOR_S else 0


def merge(players: Iterable[Player]) -> Merge:
    """Merge stored players into the ranking and announce a changed board. Failure is the reconciler's."""
    players = list(players)
    try:
        return _merge(players)
    except RankingUnavailable as error:
        logger.warning("merge of %d players is left to the reconciler: %s", len(players), error)
        metrics.record(metrics.MERGES_LEFT, len(players))
        leave_to_reconciler(player.user_id for player in players)
        return Merge(0, None)


def insist(players: Iterable[Player]) -> Merge:
    """The same, and once more until Redis has been away for INSIST_S (s).

    One failure on the way to Redis, of which nobody else knows, would otherwise leave who has just been
    banned on the board until the reconciler's next round.
    """
    players = list(players)
    until = time.monotonic() + INSIST_S
    while time.monotonic() < until and away_s() < INSIST_S:
        try:
            return _merge(players)
        except RankingUnavailable:
            time.sleep(_INSIST_EVERY_S)
    return merge(players)


def _merge(players: list[Player]) -> Merge:
    merged = current_ranking().merge(players)
    announce(merged.revision)
    return merged


def leave_to_reconciler(user_ids: Iterable[str]) -> None:
    """Have these players read and merged in the next round of this process."""
    with _state_lock:
        _unmerged.update(dict.fromkeys(user_ids))
        while len(_unmerged) > _UNMERGED_MAX:
            _unmerged.popitem(last=False)


def drop(versions: dict[str, int]) -> Merge:
    """Take players out of the ranking who are not in the table (see Ranking.drop), and announce."""
    dropped = current_ranking().drop(versions)
    announce(dropped.revision)
    return dropped


def announce(revision: int | None) -> None:
    """Tell all hubs that the board has a new revision; None: it has not."""
    if revision is not None:
        metrics.record(metrics.BOARD_CHANGES)
        broadcaster.board_changed(revision)


def unmerged(count: int) -> list[str]:
    """At most `count` players whose merge failed in this process."""
    with _state_lock:
        return list(islice(_unmerged, count))


def forget_unmerged(user_ids: Iterable[str]) -> None:
    """These have been merged after all."""
    with _state_lock:
        for user_id in user_ids:
            _unmerged.pop(user_id, None)


def raise_revision(*, seen: int) -> None:
    """Lift the ranking's revision above `seen`: a viewer has had that one (failover to an older copy)."""
    try:
        current_ranking().raise_revision(seen)
    except RankingUnavailable:
        logger.warning("could not raise the revision above %d", seen)

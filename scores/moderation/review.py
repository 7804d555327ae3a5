"""What moderators read before they act: the ranking page by page, queues, a player's case.

Plain keyword-only functions over the stores, without a framework. Nothing in here writes.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence

from scores.board.merging import current_ranking
from scores.moderation import activity
from scores.rules.entries import Entry
from scores.rules.players import ID_PATTERN, Player, State, in_order
from scores.stores import repository
from scores.stores.ranking import RankingUnavailable

#: Players on one page of a list.
PAGE = 50
#: Entries of a ledger that are read, at most.
MOST_ENTRIES = 5000
#: A queue is counted up to here.
MOST_COUNTED = 500
#: How long (s) a search by name may take.
SEARCH_S = 1.0
#: The queues, in the order in which they want attention.
QUEUES = (State.HELD, State.HIDDEN, State.BANNED, State.ERASED)


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A page of players.

    `first_rank` is the rank of the first one (None: not in order of rank), `total` how many the whole
    list has (None: not counted), `next_place` where the next page begins (None: there is none), `notice`
    what the reader should know about it.
    """

    players: Sequence[Player]
    first_rank: int | None = None
    total: int | None = None
    next_place: str | None = None
    notice: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One player with what is known about it; `cut`: the ledger has more than `entries` (newest first)."""

    player: Player
    rank: int | None
    total: int | None
    entries: Sequence[Entry]
    cut: bool

    @property
    def moderations(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.actor is not None]


def ranked(*, page: int) -> Listed:
    """The visible players of the ranking, PAGE at a time, `page` from 1, as the table has them now.

    While the ranking is away: the best PAGE of the index. Raises Unavailable.
    """
    above = (page - 1) * PAGE
    try:
        ranking = current_ranking()
        user_ids, total = ranking.top(PAGE, above), ranking.size()
        notice = (
            None if ranking.is_full() else "The ranking is still being filled: not everybody is in it yet."
        )
    except RankingUnavailable:
        best = in_order(players([user_id for user_id, _ in repository.nominees(PAGE)]))
        return Listed(best, 1, notice=f"The ranking is away: these are the best {len(best)} of the table.")
    more = str(page + 1) if above + len(user_ids) < total else None
    return Listed(players(user_ids), above + 1, total, more, notice)


def queue(*, state: State, after: str = "") -> Listed:
    """The players in this state, PAGE at a time, behind the place `after`: by when the state ends.

    Raises Unavailable.
    """
    places = repository.flagged(state, after, PAGE)
    in_state = [p for p in players([user_id for user_id, _ in places]) if p.state is state]
    return Listed(in_state, next_place=places[-1][1] if len(places) == PAGE else None)


def queue_sizes() -> dict[State, int]:
    """How many players are in each queue; MOST_COUNTED stands for that many or more. Raises Unavailable."""
    return {state: len(repository.flagged(state, "", MOST_COUNTED)) for state in QUEUES}


def find(*, text: str) -> Listed:
    """The player with this id, then those with `text` in their name that the ranking knows.

    Raises Unavailable.
    """
    notice = None
    user_ids = [text] if ID_PATTERN.fullmatch(text) else []
    wanted = _plain(text)
    try:
        named, all_seen = current_ranking().named(lambda name: wanted in _plain(name), PAGE, SEARCH_S)
    except RankingUnavailable:
        named, all_seen = [], True
        notice = "The ranking is away: only the user id was looked for."
    if not all_seen:
        notice = f"There may be more than these: the search ended after {PAGE} names, or {SEARCH_S:g} s."
    found = players(dict.fromkeys([*user_ids, *named]))
    return Listed(sorted(found, key=lambda p: (p.user_id != text, -p.score)), notice=notice)


def case(*, user_id: str) -> Case | None:
    """A player with ledger and rank; None when there is no such player. Raises Unavailable."""
    player = repository.read_player(user_id)
    if player is None:
        return None
    entries, cut = repository.read_latest(user_id, MOST_ENTRIES)
    rank = total = None
    if player.visible:
        try:
            rank, total = current_ranking().place(player)
        except RankingUnavailable:
            pass
    return Case(player, rank, total, activity.newest_first(entries), cut)


def since(*, user_id: str, version: int) -> list[Entry]:
    """What has been entered for a player after this version, oldest first. Raises Unavailable."""
    entries, _ = repository.read_latest(user_id, MOST_ENTRIES)
    return [entry for entry in reversed(activity.newest_first(entries)) if entry.version > version]


def version_after_updates(*, user_id: str, version: int) -> int:
    """The version that updates alone have brought a player to since `version`; else `version` itself.

    Raises Unavailable.
    """
    player = repository.read_player(user_id)
    moderated = any(entry.version > version for entry in repository.read_moderations(user_id))
    return version if moderated or player is None else player.version


def players(user_ids: Iterable[str]) -> list[Player]:
    """Those of the players that exist, in the order given. Raises Unavailable."""
    user_ids = list(user_ids)
    found = repository.read_players(user_ids)
    return [found[user_id] for user_id in user_ids if user_id in found]


def _plain(text: str) -> str:
    """`text` without case and accents, to be searched in."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold().strip()

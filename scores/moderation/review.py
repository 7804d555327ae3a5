"""What moderators read before they act: the ranking page by page, queues, a player's case.

Plain keyword-only functions over the stores, without a framework. Nothing in here writes.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence

from scores.board.index_board import NOMINEES
from scores.board.scoreboard import Scoreboard
from scores.moderation import activity
from scores.moderation.moderating import player_after
from scores.moderation.requests import checked_request
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.boards import Row, rows_of
from scores.rules.entries import Entry
from scores.rules.players import ID_PATTERN, Player, State, in_order
from scores.stores import ledger
from scores.stores.cache import RankingUnavailable

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


def ranked(scoreboard: Scoreboard, *, page: int) -> Listed:
    """The visible players of the ranking, PAGE at a time, `page` from 1, as the table has them now.

    While the ranking is away: the best PAGE of the index. Raises Unavailable.
    """
    above = (page - 1) * PAGE
    try:
        ranking = scoreboard.ranking()
        user_ids, total = ranking.top(PAGE, above), ranking.size()
        notice = (
            None if ranking.is_full() else "The ranking is still being filled: not everybody is in it yet."
        )
    except RankingUnavailable:
        best = in_order(players(scoreboard, [user_id for user_id, _ in scoreboard.players.nominees(PAGE)]))
        return Listed(best, 1, notice=f"The ranking is away: these are the best {len(best)} of the table.")
    more = str(page + 1) if above + len(user_ids) < total else None
    return Listed(players(scoreboard, user_ids), above + 1, total, more, notice)


def queue(scoreboard: Scoreboard, *, state: State, after: str = "") -> Listed:
    """The players in this state, PAGE at a time, behind the place `after`: by when the state ends.

    Raises Unavailable.
    """
    places = scoreboard.players.flagged(state, after, PAGE)
    in_state = [p for p in players(scoreboard, [user_id for user_id, _ in places]) if p.state is state]
    return Listed(in_state, next_place=places[-1][1] if len(places) == PAGE else None)


def queue_sizes(scoreboard: Scoreboard) -> dict[State, int]:
    """How many players are in each queue; MOST_COUNTED stands for that many or more. Raises Unavailable."""
    return {state: len(scoreboard.players.flagged(state, "", MOST_COUNTED)) for state in QUEUES}


def find(scoreboard: Scoreboard, *, text: str) -> Listed:
    """The player with this id, then those with `text` in their name that the ranking knows.

    Raises Unavailable.
    """
    notice = None
    user_ids = [text] if ID_PATTERN.fullmatch(text) else []
    wanted = _plain(text)
    try:
        named, all_seen = scoreboard.ranking().named(lambda name: wanted in _plain(name), PAGE, SEARCH_S)
    except RankingUnavailable:
        named, all_seen = [], True
        notice = "The ranking is away: only the user id was looked for."
    if not all_seen:
        notice = f"There may be more than these: the search ended after {PAGE} names, or {SEARCH_S:g} s."
    found = players(scoreboard, dict.fromkeys([*user_ids, *named]))
    return Listed(sorted(found, key=lambda p: (p.user_id != text, -p.score)), notice=notice)


def case(scoreboard: Scoreboard, *, user_id: str) -> Case | None:
    """A player with ledger and rank; None when there is no such player. Raises Unavailable."""
    player = scoreboard.players.read(user_id)
    if not player.version:
        return None
    entries, cut = ledger.read_latest(user_id, MOST_ENTRIES)
    rank = total = None
    if player.visible:
        try:
            rank, total = scoreboard.ranking().place(player)
        except RankingUnavailable:
            pass
    return Case(player, rank, total, activity.newest_first(entries), cut)


def since(scoreboard: Scoreboard, *, user_id: str, version: int) -> list[Entry]:
    """What has been entered for a player after this version, oldest first. Raises Unavailable."""
    entries, _ = ledger.read_latest(user_id, MOST_ENTRIES)
    return [entry for entry in reversed(activity.newest_first(entries)) if entry.version > version]


def version_after_updates(scoreboard: Scoreboard, *, user_id: str, version: int) -> int:
    """The version that updates alone have brought a player to since `version`; else `version` itself.

    Raises Unavailable.
    """
    player = scoreboard.players.read(user_id)
    moderated = any(entry.version > version for entry in ledger.read_moderations(user_id))
    return version if moderated or not player.version else player.version


def players(scoreboard: Scoreboard, user_ids: Iterable[str]) -> list[Player]:
    """Those of the players that exist, in the order given. Raises Unavailable."""
    user_ids = list(user_ids)
    found = scoreboard.players.read_many(user_ids)
    return [found[user_id] for user_id in user_ids if user_id in found]


def _plain(text: str) -> str:
    """`text` without case and accents, to be searched in."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold().strip()


# --- What an action would do ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What an action would make of a player and of the board."""

    before: Player
    after: Player
    rows_before: tuple[Row, ...]
    rows_after: tuple[Row, ...]


def preview(
    scoreboard: Scoreboard,
    *,
    user_id: str,
    action: Action,
    amount: int = 0,
    name: str | None = None,
    until: int | None = None,
) -> Preview:
    """What `moderate` would do now, from consistent reads; changes nothing.

    Raises Invalid and Refused as `moderate` does, Unavailable or Throttled.
    """
    request = checked_request(
        user_id=user_id,
        action=action,
        actor=audit_trail.SYSTEM,
        reason="a preview",
        amount=amount,
        name=name,
        until=until,
    )
    known = scoreboard.players.read(user_id)
    after = player_after(request, known, scoreboard.now_ms())
    rows_before, rows_after = boards(scoreboard, changed=[after])
    return Preview(known, after, rows_before, rows_after)


def boards(scoreboard: Scoreboard, *, changed: Iterable[Player]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(the board now, the board when these players are as given), from consistent reads.

    Raises Unavailable or Throttled.
    """
    after = {player.user_id: player for player in changed}
    depth = NOMINEES + len(after)  # as many as may leave, others move up
    nominated = [user_id for user_id, _ in scoreboard.players.nominees(depth)]
    try:
        nominated += scoreboard.ranking().top(depth)
    except RankingUnavailable:
        pass
    now = scoreboard.players.read_many(dict.fromkeys([*nominated, *after]))
    return rows_of(now.values()), rows_of((now | after).values())

"""What the integration tests set up and look at: empty stores, the cast, the truth in the table."""

from __future__ import annotations

from scores.board import merging, services
from scores.identity.verifier import WRITE_SCOPE, Identity
from scores.rules import limits
from scores.rules.boards import Board, Row, rows_of
from scores.rules.players import Player
from scores.stores import dynamodb, ranking, repository, tables
from scores.upkeep import reconcile

#: The site's own server: may write for anybody.
SERVER = Identity("server", "local", frozenset({WRITE_SCOPE}), 2**40)


def reset() -> None:
    """Empty tables of a new generation, an empty Redis, and no memory of earlier tests."""
    for model in (tables.UserScore, tables.LedgerEntry):
        if dynamodb.patiently(model.exists):
            dynamodb.patiently(model.delete_table)
    repository.create_tables()
    ranking._client().flushall()
    forget()


def forget() -> None:
    """What a process loses when it is killed."""
    merging._current = None
    merging._unmerged.clear()
    merging._recorded_floor = (0, float("-inf"))
    services._last_board = None
    services._index_board.__init__()  # type: ignore[misc]
    ranking._breaker.__init__()  # type: ignore[misc]
    limits.known_refusals.__init__()  # type: ignore[misc]
    limits.local_limiter.__init__()  # type: ignore[misc]
    ranking.repair_wanted.clear()
    reconcile.ranking_repairs_total = 0


def player(user_id: str) -> Identity:
    """A player's own token."""
    return Identity(user_id, "local", frozenset(), 2**40)


_keys = iter(range(10**9))


def add(user_id: str, increment: int, key: str | None = None) -> int:
    """Points from the site's server; the new score."""
    key = key or f"key-{next(_keys)}"
    return services.add_points(user_id=user_id, increment=increment, key=key, caller=SERVER).new_score


def table() -> dict[str, Player]:
    """All players, read consistently."""
    return {player.user_id: player for player, _ in repository.scan_players()}


def true_rows() -> tuple[Row, ...]:
    return rows_of(table().values())


def board() -> Board:
    """The board of the ranking; fails when it is not ready."""
    found = merging.current_ranking().board()
    assert found is not None, "the ranking is not ready"
    return found

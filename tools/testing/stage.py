"""What the integration tests set up and look at: empty stores, the cast, the truth in the table."""

from __future__ import annotations

from django.apps import apps

from scores.board.adding import add_points
from scores.board.scoreboard import Scoreboard, get_scoreboard, scoreboard_from_settings
from scores.identity.verifier import WRITE_SCOPE, Identity
from scores.rules.boards import Board, Row, rows_of
from scores.rules.players import Player
from scores.stores import dynamodb, tables
from scores.stores.administration import create_tables

#: The site's own server: may write for anybody.
SERVER = Identity("server", "local", frozenset({WRITE_SCOPE}), 2**40)


def reset() -> None:
    """Empty tables of a new generation, an empty Redis, and a new scoreboard."""
    for model in (tables.UserScore, tables.LedgerEntry):
        if dynamodb.patiently(model.exists):
            dynamodb.patiently(model.delete_table)
    forget()
    create_tables(scoreboard().players)
    scoreboard().cache.client.flushall()


def forget() -> None:
    """A new scoreboard for this process, with empty memory."""
    use(scoreboard_from_settings())


def use(new: Scoreboard) -> None:
    """Views, admin pages and commands of this process use this scoreboard from now on.

    A hub or LiveProcess that was made before keeps the old one.
    """
    old = scoreboard()
    apps.get_app_config("scores").scoreboard = new  # type: ignore[attr-defined]
    old.cache.close()


def scoreboard() -> Scoreboard:
    """The scoreboard of this process."""
    return get_scoreboard()


def player(user_id: str) -> Identity:
    """A player's own token."""
    return Identity(user_id, "local", frozenset(), 2**40)


_keys = iter(range(10**9))


def add(user_id: str, increment: int, key: str | None = None) -> int:
    """Points from the site's server; the new score."""
    key = key or f"key-{next(_keys)}"
    return add_points(scoreboard(), user_id=user_id, increment=increment, key=key, caller=SERVER).new_score


def table() -> dict[str, Player]:
    """All players, read consistently."""
    return {player.user_id: player for player, _ in scoreboard().players.scan()}


def true_rows() -> tuple[Row, ...]:
    return rows_of(table().values())


def board() -> Board:
    """The board of the ranking; fails when it is not ready."""
    found = scoreboard().ranking().board()
    assert found is not None, "the ranking is not ready"
    return found

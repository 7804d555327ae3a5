"""Reading the board and one player's standing."""

from __future__ import annotations

import dataclasses

from scores.board.merging import merge
from scores.board.scoreboard import Scoreboard
from scores.rules.boards import Board, Standing, points_to_top10
from scores.rules.errors import Unavailable
from scores.stores.cache import RankingUnavailable


def get_board(scoreboard: Scoreboard) -> Board:
    """The Top 10: from the ranking, else from the index and the table, else the last one known (stale).

    The ranking is passed over while it is in doubt. Raises Unavailable when no board is known.
    """
    try:
        ranked = scoreboard.ranking().board()
    except RankingUnavailable:
        ranked = None
    try:
        if ranked is None or scoreboard.cache.breaker.in_doubt:
            scoreboard.last_board = scoreboard.index_board.get()
        else:
            scoreboard.last_board = ranked
    except Unavailable:
        known = scoreboard.last_board or ranked
        if known is None:
            raise
        return dataclasses.replace(known, stale=True)
    return scoreboard.last_board


def get_standing(scoreboard: Scoreboard, *, user_id: str) -> Standing:
    """A player's score, rank and distance to the board, from a consistent read of the player.

    Raises Unavailable.
    """
    player = scoreboard.players.read(user_id)
    rank = total = None
    try:
        merge(scoreboard, [player] if player.version else [])
        rank, total = scoreboard.ranking().place(player)
    except RankingUnavailable:
        pass
    missing = points_to_top10(player.score, get_board(scoreboard).rows, user_id)
    return Standing(user_id, player.score, rank, total, missing)

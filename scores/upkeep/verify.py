"""Checking that every player's ledger adds up to the score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from django.conf import settings

from scores.board.scoreboard import Scoreboard
from scores.rules.entries import chain_problem
from scores.rules.errors import Unavailable
from scores.stores import ledger


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """A player whose ledger does not add up, and where."""

    user_id: str
    problem: str


def verify_ledger(
    scoreboard: Scoreboard, *, progress: Callable[[int, int], None] | None = None
) -> tuple[int, list[Broken]]:
    """Check every player's ledger chain; returns (players checked, those that are broken).

    A player whose version moved during the check is read again. `progress` is told (done, total).

    Raises Unavailable or Throttled.
    """
    user_ids = {player.user_id for player, _ in scoreboard.players.scan()}
    user_ids.update(ledger.scan_user_ids())
    broken = []
    for done, user_id in enumerate(sorted(user_ids), start=1):
        problem = _chain_problem(scoreboard, user_id)
        if problem:
            broken.append(Broken(user_id, problem))
        if progress:
            progress(done, len(user_ids))
    return len(user_ids), broken


def _chain_problem(scoreboard: Scoreboard, user_id: str, tries: int = 20) -> str | None:
    for _ in range(tries):
        before = scoreboard.players.read(user_id)
        entries = ledger.read_all(user_id)
        player = scoreboard.players.read(user_id)
        if before.version == player.version:
            retention_ms = settings.SCOREBOARD_LEDGER_DAYS * 86_400_000
            return chain_problem(entries, player, retention_ms, scoreboard.now_ms())
    raise Unavailable(f"{user_id} is being written too often to be checked; try again.")

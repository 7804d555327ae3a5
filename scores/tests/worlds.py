"""The real world: the product's code on the real stores, under the interface of the model (model.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from django.conf import settings

from scores.board import adding
from scores.board.scoreboard import Scoreboard
from scores.moderation import moderating
from scores.moderation.requests import ModerationRequest
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.boards import Board
from scores.rules.entries import Entry
from scores.rules.errors import ScoreboardError
from scores.rules.players import Player
from scores.stores import ledger
from scores.stores.cache import Cache, RankingUnavailable
from scores.stores.ranking import Ranking
from scores.tests.model import OK, REDIS_AWAY, SMALL, SMALL_BOARD
from scores.upkeep import floor, rebuild, reconcile, verify
from tools.testing import stage


class Real:
    """The product's code on DynamoDB Local and Valkey; `fault` strikes at the edge to Redis."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self.now = 1_000
        self._clock = clock or (lambda: self.now)
        stage.reset()
        self.crash()

    # --- writes

    def update(self, user_id: str, increment: int, key: str, fault: str) -> tuple[str, int]:
        with _Struck(self, fault):
            try:
                accepted = adding.add_points(
                    stage.scoreboard(), user_id=user_id, increment=increment, key=key, caller=stage.SERVER
                )
            except ScoreboardError as error:
                return error.code, 0
        return "replayed" if accepted.replayed else "accepted", accepted.new_score

    def moderate(self, order: ModerationRequest, expected: int, fault: str) -> str:
        with _Struck(self, fault):
            try:
                moderating.moderate(
                    stage.scoreboard(), expected_version=expected, **dataclasses.asdict(order)
                )
            except ScoreboardError as error:
                return error.code
        return "done"

    def rename(self, user_id: str, name: str | None, fault: str) -> str:
        with _Struck(self, fault):
            try:
                moderating.rename(stage.scoreboard(), user_id=user_id, name=name)
            except ScoreboardError as error:
                return error.code
        return "done"

    # --- upkeep

    def flush(self) -> None:
        stage.scoreboard().cache.client.flushall()

    def crash(self) -> None:
        """The process begins anew, with a small board and the test's clock."""
        new = Scoreboard(Cache(settings.REDIS_URL), size=SMALL_BOARD)
        new.now_ms = self._clock  # type: ignore[method-assign]
        stage.use(new)

    def reconcile(self, floor_due: bool) -> None:
        floor.FLOOR_DUE_S = -1.0 if floor_due else 1e9
        current = stage.scoreboard().ranking()
        if not floor_due and current.floor_age_s() is None:
            current.set_floor(0)  # none and 0 mean the same, but none is due
        stage.scoreboard().cache.client.delete(current._key("lock:reconcile"))
        reconcile.reconcile_ranking(stage.scoreboard())

    def rebuild(self, full: bool) -> None:
        assert rebuild.rebuild_ranking(stage.scoreboard(), full=full)

    # --- what can be seen

    def board(self) -> Board | None:
        return stage.scoreboard().ranking().board()

    def table(self) -> dict[str, Player]:
        return stage.table()

    def top(self) -> list[str]:
        return stage.scoreboard().ranking().top(SMALL["NOMINATED"])

    def updates(self) -> dict[tuple[str, str], tuple[int, int]]:
        return {
            (e.user_id, e.entry_id): (e.increment, e.new_score) for e in self._ledger() if e.actor is None
        }

    def moderations(self) -> list[tuple[str, int, str]]:
        return sorted((e.user_id, e.version, e.kind) for e in self._ledger() if e.actor is not None)

    def left_of_the_erased(self) -> list[tuple[str, int]]:
        entries = self._ledger()
        erasures = sorted((e.version, e.user_id) for e in entries if e.kind == Action.ERASE.value)
        erased = {user_id: version for version, user_id in erasures}
        return sorted(
            (e.user_id, e.version)
            for e in entries
            if e.version <= erased.get(e.user_id, 0) and audit_trail.without_personal_data(e) != e
        )

    def _ledger(self) -> list[Entry]:
        return [entry for user_id in self.table() for entry in ledger.read_all(user_id)]

    def outside_index(self) -> list[Player]:
        floor = stage.scoreboard().players.read_state().floor
        return [
            p for p, indexed in stage.scoreboard().players.scan() if p.contends(int(floor)) and not indexed
        ]

    def broken_ledgers(self) -> list[str]:
        return [broken.user_id for broken in verify.verify_ledger(stage.scoreboard())[1]]


class _Struck:
    """Redis does not answer merges (MERGE_LOST) or anything (REDIS_AWAY), and the process then dies."""

    def __init__(self, world: Real, fault: str) -> None:
        self.world = world
        self.fault = fault

    def __enter__(self) -> None:
        self.merge, self.guess = Ranking.merge, Ranking.guess
        if self.fault != OK:
            Ranking.merge = _unanswered  # type: ignore[assignment,method-assign]
        if self.fault == REDIS_AWAY:
            Ranking.guess = _unanswered  # type: ignore[assignment,method-assign]

    def __exit__(self, *exc_info: object) -> None:
        Ranking.merge, Ranking.guess = self.merge, self.guess  # type: ignore[method-assign]
        if self.fault != OK:
            self.world.crash()


def _unanswered(*args: object) -> None:
    raise RankingUnavailable("struck by the test")

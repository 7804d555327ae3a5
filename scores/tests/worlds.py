"""The real world: the product's code on the real stores, under the interface of the model (model.py)."""

from __future__ import annotations

import dataclasses

from scores.board import merging, services
from scores.moderation import moderating
from scores.moderation.requests import Order
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.boards import Board
from scores.rules.entries import Entry
from scores.rules.errors import ScoreboardError
from scores.rules.players import Player
from scores.stores import ranking, repository
from scores.stores.ranking import Ranking, RankingUnavailable
from scores.tests.model import OK, REDIS_AWAY, SMALL
from scores.upkeep import reconcile
from tools.testing import stage


class Real:
    """The product's code on DynamoDB Local and Valkey; `fault` strikes at the edge to Redis."""

    def __init__(self) -> None:
        stage.reset()
        self.now = 1_000

    # --- writes

    def update(self, user_id: str, increment: int, key: str, fault: str) -> tuple[str, int]:
        with _Struck(fault):
            try:
                accepted = services.add_points(
                    user_id=user_id, increment=increment, key=key, caller=stage.SERVER
                )
            except ScoreboardError as error:
                return error.code, 0
        return "replayed" if accepted.replayed else "accepted", accepted.new_score

    def moderate(self, order: Order, expected: int, fault: str) -> str:
        with _Struck(fault):
            try:
                moderating.moderate(expected_version=expected, **dataclasses.asdict(order))
            except ScoreboardError as error:
                return error.code
        return "done"

    def rename(self, user_id: str, name: str | None, fault: str) -> str:
        with _Struck(fault):
            try:
                moderating.rename(user_id=user_id, name=name)
            except ScoreboardError as error:
                return error.code
        return "done"

    # --- upkeep

    def flush(self) -> None:
        ranking._client().flushall()

    def crash(self) -> None:
        stage.forget()

    def reconcile(self, floor_due: bool) -> None:
        reconcile.FLOOR_DUE_S = -1.0 if floor_due else 1e9
        current = merging.current_ranking()
        if not floor_due and current.floor_age_s() is None:
            current.set_floor(0)  # none and 0 mean the same, but none is due
        ranking._client().delete(current._key("lock:reconcile"))
        reconcile.reconcile_ranking()

    def rebuild(self, full: bool) -> None:
        assert reconcile.rebuild_ranking(full=full)

    # --- what can be seen

    def board(self) -> Board | None:
        return merging.current_ranking().board()

    def table(self) -> dict[str, Player]:
        return stage.table()

    def top(self) -> list[str]:
        return merging.current_ranking().top(SMALL["NOMINATED"])

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
        return [entry for user_id in self.table() for entry in repository.read_ledger(user_id)]

    def outside_index(self) -> list[Player]:
        floor = repository.read_state().floor
        return [p for p, indexed in repository.scan_players() if p.contends(int(floor)) and not indexed]

    def broken_ledgers(self) -> list[str]:
        return [broken.user_id for broken in reconcile.verify_ledger()[1]]


class _Struck:
    """Redis does not answer merges (MERGE_LOST) or anything (REDIS_AWAY), and the process then dies."""

    def __init__(self, fault: str) -> None:
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
            stage.forget()


def _unanswered(*args: object) -> None:
    raise RankingUnavailable("struck by the test")

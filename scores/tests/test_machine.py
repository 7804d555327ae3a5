"""The state machine: any order of updates, replays, moderation, losses and upkeep ends in the true board."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from scores.moderation.requests import ModerationRequest
from scores.rules import boards
from scores.rules.actions import Action
from scores.rules.boards import rows_of
from scores.rules.players import Player, in_order
from scores.tests import model
from scores.tests.model import MERGE_LOST, OK, REDIS_AWAY, Model
from scores.tests.worlds import Real
from scores.upkeep import bans, erasures, floor, rebuild, reconcile
from tools.testing import stage

USERS = st.sampled_from([f"u{i}" for i in range(12)])
NAMES = st.sampled_from([None, "Bo", "Zoë"])
INCREMENTS = st.integers(1, 9)
FAULTS = st.sampled_from([OK, OK, OK, MERGE_LOST, REDIS_AWAY])


class ModelMachine(RuleBasedStateMachine):
    """Drives every world the same way and compares what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.worlds: list[Model | Real] = [Model()]
        self.answered: dict[tuple[str, str], tuple[int, int]] = {}
        self.orders: list[tuple[ModerationRequest, int]] = []
        self.ordered = 0
        self.revisions = [0, 0]
        self.versions: list[dict[str, int]] = [{}, {}]
        self.quiet = True

    @property
    def model(self) -> Model:
        assert isinstance(self.worlds[0], Model)
        return self.worlds[0]

    @rule(user_id=USERS, increment=INCREMENTS, fault=FAULTS)
    def update(self, user_id: str, increment: int, fault: str) -> None:
        key = f"key-{len(self.answered)}"
        outcome, score = self._same(lambda world: world.update(user_id, increment, key, fault))
        assert outcome in ("accepted", "banned")
        if outcome == "accepted":
            self.answered[user_id, key] = (increment, score)
        self.quiet = False

    @rule(increments=st.lists(st.integers(0, 9), min_size=12, max_size=12), fault=FAULTS)
    def rush(self, increments: list[int], fault: str) -> None:
        """Everybody at once, so that the floor gets somewhere."""
        for number, increment in enumerate(increments):
            if increment:
                self.update(f"u{number}", increment, fault)

    @precondition(lambda self: self.answered)
    @rule(data=st.data(), fault=FAULTS)
    def replay(self, data: st.DataObject, fault: str) -> None:
        (user_id, key), (increment, score) = data.draw(st.sampled_from(sorted(self.answered.items())))
        answer = self._same(lambda world: world.update(user_id, increment, key, fault))
        assert answer == ("replayed", score)
        assert self._same(lambda world: world.update(user_id, increment + 1, key, fault)) == ("key_reused", 0)

    @rule(
        user_id=USERS,
        action=st.sampled_from(Action),
        fault=FAULTS,
        amount=st.integers(-30, 30).filter(bool),
        name=NAMES,
        ban_ms=st.sampled_from([None, 5, 50]),
        late=st.sampled_from([0, 0, 0, 0, 1]),
    )
    def moderate(
        self,
        user_id: str,
        action: Action,
        fault: str,
        amount: int,
        name: str | None,
        ban_ms: int | None,
        late: int,
    ) -> None:
        order = self._order(
            user_id,
            action,
            amount=amount if action is Action.ADJUST else 0,
            name=name if action is Action.RENAME else None,
            until=self.model.now + ban_ms if ban_ms and action is Action.BAN else None,
        )
        self._moderate(order, fault, late)

    @rule(user_id=USERS, name=NAMES, fault=FAULTS)
    def rename(self, user_id: str, name: str | None, fault: str) -> None:
        outcome = self._same(lambda world: world.rename(user_id, name, fault))
        assert outcome in ("done", "banned", "refused")
        self.quiet = False

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), fault=FAULTS)
    def repeat_a_moderation(self, data: st.DataObject, fault: str) -> None:
        order, expected = data.draw(st.sampled_from(self.orders))
        outcome = self._same(lambda world: world.moderate(order, expected, fault))
        assert outcome in ("done", "key_reused")  # the latter after the ledger of an erased player is swept
        other = dataclasses.replace(order, reason="another")
        assert self._same(lambda world: world.moderate(other, expected, fault)) == "key_reused"

    @rule(first=st.integers(0, 9), count=st.integers(3, 9), fault=FAULTS)
    def ban_many(self, first: int, count: int, fault: str) -> None:
        """The top goes, one after another."""
        for row in in_order(self.model.table().values())[first : first + count]:
            self._moderate(self._order(row.user_id, Action.BAN), fault)

    def _order(self, user_id: str, action: Action, **options: Any) -> ModerationRequest:
        self.ordered += 1
        return ModerationRequest(user_id, action, "moderator", "because", f"MOD#{self.ordered}", **options)

    def _moderate(self, order: ModerationRequest, fault: str, late: int = 0) -> None:
        known = self.model.table().get(order.user_id, Player(order.user_id))
        expected = known.version - late
        outcome = self._same(lambda world: world.moderate(order, expected, fault))
        assert outcome == "version_moved" if late else outcome in ("done", "refused")
        if outcome == "done":
            self.orders.append((order, expected))
        self.quiet = False

    @rule(ms=st.sampled_from([1, 10, 100]))
    def time_passes(self, ms: int) -> None:
        for world in self.worlds:
            world.now += ms

    @rule()
    def flush(self) -> None:
        self._each(lambda world: world.flush())

    @rule()
    def crash(self) -> None:
        self._each(lambda world: world.crash())

    @rule(floor_due=st.booleans())
    def reconcile(self, floor_due: bool) -> None:
        self._each(lambda world: world.reconcile(floor_due))

    @rule(full=st.booleans())
    def rebuild(self, full: bool) -> None:
        self._each(lambda world: world.rebuild(full))

    @precondition(lambda self: not self.quiet)
    @rule()
    def come_to_rest(self) -> None:
        """Two rounds after the last fault everything is true again."""
        self._each(lambda world: world.reconcile(True))
        self._each(lambda world: world.reconcile(True))
        for number, world in enumerate(self.worlds):
            board = world.board()
            assert board is not None
            assert board.rows == rows_of(world.table().values())
            assert world.top() == [
                p.user_id for p in in_order(world.table().values())[: model.SMALL["NOMINATED"]]
            ]
            assert world.broken_ledgers() == []
            assert world.updates() == self.answered
            assert world.left_of_the_erased() == []
            versions = {user_id: player.version for user_id, player in world.table().items()}
            assert all(versions[user_id] >= version for user_id, version in self.versions[number].items())
            self.versions[number] = versions
        self._same(lambda world: world.table())
        moderations = self._same(lambda world: world.moderations())
        assert {(user_id, kind) for user_id, _, kind in moderations} >= {
            (order.user_id, order.action) for order, _ in self.orders
        }
        self.quiet = True

    def teardown(self) -> None:
        self.come_to_rest()

    def _each(self, act: Callable[[Model | Real], object]) -> None:
        for number, world in enumerate(self.worlds):
            act(world)
            assert world.outside_index() == []
            board = world.board()
            if board is not None:
                assert board.revision >= self.revisions[number]
                self.revisions[number] = board.revision

    def _same(self, act: Callable[[Model | Real], Any]) -> Any:
        answers: list[object] = []
        self._each(lambda world: answers.append(act(world)))
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0]


class RealMachine(ModelMachine):
    def __init__(self) -> None:
        super().__init__()
        self.worlds.append(Real(lambda: self.model.now))


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "BOARD_SIZE", model.SMALL_BOARD)
    for module in (reconcile, rebuild, floor):
        for name in model.SMALL.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, model.SMALL[name])
    monkeypatch.setattr(floor, "FLOOR_DUE_S", floor.FLOOR_DUE_S)
    for module in (bans, erasures):
        monkeypatch.setattr(module, "PER_ROUND_S", 60)
    monkeypatch.setattr(erasures, "SWEEP_PAGE", 2)


def run(machine: type[ModelMachine], examples: int, steps: int) -> None:
    """SCOREBOARD_MACHINE_EXAMPLES multiplies the examples, for a long search."""
    factor = int(os.environ.get("SCOREBOARD_MACHINE_EXAMPLES", "1"))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples * factor,
            stateful_step_count=steps,
            deadline=None,
            derandomize="CI" in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_rules_lead_to_the_true_board():
    run(ModelMachine, examples=300, steps=40)


def test_old_contenders_do_not_hide_who_stands_between(running_stores):
    """Below a floor that has risen the index holds some players and lacks better ones: it must not count."""
    world = Real()
    for number in range(1, 5):
        world.update(f"u{number}", 1, "old", OK)  # in the index while there is no floor
    for number in range(5, 11):
        world.update(f"u{number}", 50, "top", OK)
    world.reconcile(True)
    world.reconcile(True)
    assert stage.scoreboard().players.read_state().floor == 50
    world.update("u0", 10, "between", OK)  # not in the index
    for number in range(5, 11):
        order = ModerationRequest(f"u{number}", Action.BAN, "moderator", "because", "MOD#1")
        world.moderate(order, 1, OK)
    assert len(stage.scoreboard().players.nominees(10)) == model.SMALL["MIN_CONTENDERS"]
    world.flush()
    world.reconcile(False)
    board = world.board()
    assert board is not None and board.rows == rows_of(world.table().values())
    assert board.rows[0].user_id == "u0"


def test_the_code_follows_the_rules_on_the_real_stores(running_stores):
    run(RealMachine, examples=12, steps=30)

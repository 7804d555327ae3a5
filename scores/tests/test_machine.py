"""The state machine: any order of updates, replays, moderation, losses and upkeep ends in the true board."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from scores import maintenance, repository, scoring, services
from scores.scoring import Action
from scores.tests import worlds
from scores.tests.worlds import MERGE_LOST, OK, REDIS_AWAY, Model, Real

USERS = st.sampled_from([f"u{i}" for i in range(12)])
INCREMENTS = st.integers(1, 9)
FAULTS = st.sampled_from([OK, OK, OK, MERGE_LOST, REDIS_AWAY])


class ModelMachine(RuleBasedStateMachine):
    """Drives every world the same way and compares what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.worlds: list[Model | Real] = [Model()]
        self.answered: dict[tuple[str, str], tuple[int, int]] = {}
        self.revisions = [0, 0]
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
        action=st.sampled_from([a for a in Action if a is not Action.RENAME]),
        fault=FAULTS,
        amount=st.integers(-30, 30),
        ban_ms=st.sampled_from([None, 5, 50]),
    )
    def moderate(self, user_id: str, action: Action, fault: str, amount: int, ban_ms: int | None) -> None:
        until = self.model.now + ban_ms if ban_ms else None
        self._same(lambda world: world.moderate(user_id, action, fault, amount, until))
        self.quiet = False

    @rule(first=st.integers(0, 9), count=st.integers(3, 9), fault=FAULTS)
    def ban_many(self, first: int, count: int, fault: str) -> None:
        """The top goes, one after another."""
        for row in scoring.in_order(self.model.table().values())[first : first + count]:
            user_id = row.user_id
            self._same(functools.partial(_ban, user_id, fault))
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
        for world in self.worlds:
            board = world.board()
            assert board is not None
            assert board.rows == scoring.rows_of(world.table().values())
            assert world.broken_ledgers() == []
        self._same(lambda world: world.table())
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


def _ban(user_id: str, fault: str, world: Model | Real) -> str:
    return world.moderate(user_id, Action.BAN, fault, 0, None)


class RealMachine(ModelMachine):
    def __init__(self) -> None:
        super().__init__()
        self.worlds.append(Real())
        services.now_ms = lambda: self.model.now


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "BOARD_SIZE", worlds.SMALL_BOARD)
    for name, value in worlds.SMALL.items():
        monkeypatch.setattr(maintenance, name, value)
    monkeypatch.setattr(maintenance, "FLOOR_DUE_S", maintenance.FLOOR_DUE_S)
    monkeypatch.setattr(services, "now_ms", services.now_ms)


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


def test_old_contenders_do_not_hide_who_stands_between(running_stores, monkeypatch):
    """Below a floor that has risen the index holds some players and lacks better ones: it must not count."""
    world = Real()
    monkeypatch.setattr(services, "now_ms", lambda: world.now)
    for number in range(1, 5):
        world.update(f"u{number}", 1, "old", OK)  # in the index while there is no floor
    for number in range(5, 11):
        world.update(f"u{number}", 50, "top", OK)
    world.reconcile(True)
    world.reconcile(True)
    assert repository.read_state().floor == 50
    world.update("u0", 10, "between", OK)  # not in the index
    for number in range(5, 11):
        world.moderate(f"u{number}", Action.BAN, OK, 0, None)
    assert len(repository.nominees(10)) == worlds.SMALL["MIN_CONTENDERS"]
    world.flush()
    world.reconcile(False)
    board = world.board()
    assert board is not None and board.rows == scoring.rows_of(world.table().values())
    assert board.rows[0].user_id == "u0"


def test_the_code_follows_the_rules_on_the_real_stores(running_stores):
    run(RealMachine, examples=12, steps=30)

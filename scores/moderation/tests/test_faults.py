"""Moderating while DynamoDB is away, cuts its answers off, or is frozen."""

from __future__ import annotations

import os
import signal
import time

import pytest

from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.errors import Unavailable
from scores.stores import ledger
from scores.upkeep import verify
from tools.devstack.processes.ports import free_port
from tools.testing import pytest_plugin, stage
from tools.testing.processes import CuttingProxy, run_moderate

pytestmark = pytest.mark.usefixtures("stores")


@pytest.mark.parametrize("action", ["ban", "adjust", "erase"])
def test_a_moderation_without_dynamodb_is_an_error_to_try_again_and_changes_nothing(action):
    stage.add("ann", 100)
    before = stage.scoreboard().players.read("ann")
    options = {"adjust": ["--amount=-1"], "erase": ["--yes"]}.get(action, [])
    away = run_moderate(action, "ann", *options, DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    assert (away.returncode, away.stdout) == (3, "")
    assert "ann: not done: The service is not available right now." in away.stderr
    assert "Traceback" not in away.stderr
    assert stage.scoreboard().players.read("ann") == before
    assert len(ledger.read_all("ann")) == 1


def test_a_moderation_whose_answers_are_cut_off_is_done_once_when_repeated():
    stage.add("ann", 100)
    proxy = CuttingProxy(pytest_plugin.DYNAMODB_PORT)
    through = {"DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
    order = ("adjust", "ann", "--amount=-10", "--entry-id=MOD#form")
    proxy.cutting = True
    try:
        lost = run_moderate(*order, **through)
    finally:
        proxy.cutting = False
    assert lost.returncode == 3
    assert proxy.cuts
    for _ in range(2):
        assert run_moderate(*order, **through).returncode == 0
    proxy.close()
    assert stage.scoreboard().players.read("ann").score == 90
    assert [e.entry_id for e in ledger.read_all("ann") if e.actor] == ["MOD#form"]
    assert verify.verify_ledger(stage.scoreboard()) == (1, [])


@pytest.mark.alone
def test_a_moderator_meets_a_frozen_dynamodb_in_time(dynamodb_pid):
    stage.add("ann", 100)
    os.kill(dynamodb_pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            moderate_ann()
        assert time.monotonic() - started < 2.5
    finally:
        os.kill(dynamodb_pid, signal.SIGCONT)
    assert stage.scoreboard().players.read("ann").version == 1


def moderate_ann():
    moderating.moderate(
        stage.scoreboard(), user_id="ann", action=Action.BAN, actor="mod", reason="test", expected_version=1
    )

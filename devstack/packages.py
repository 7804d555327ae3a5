"""The checkout's virtual environment and the wheels in it: uv when it is there, else venv and pip.

Standard library only: this runs before any package is installed.
"""

import contextlib
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from devstack import process
from devstack.console import say
from devstack.errors import StackError
from devstack.files import ROOT, cache_folder, locked, need_space

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PINS = ROOT / "devstack"
NO_ANSWER = re.compile(
    "NewConnectionError|ConnectTimeout|Max retries|timed out|unreachable|name resolution|could not resolve"
    "|error sending request|failed to fetch",
    re.IGNORECASE,
)
INSTALLER_SETTINGS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "UV_NATIVE_TLS": "1",  # trust the system's certificates, as pip does; uv's own name for it is
    "UV_SYSTEM_CERTS": "1",  # this one since 0.11
}
SETS = {
    "run": ["requirements.txt"],
    "test": ["requirements.txt", "requirements-dev.txt"],
}


def ensure(name: str) -> None:
    """Make `.venv` hold the set `name` ("run" or "test"); quick when its files have not changed.

    A file of hashes is written last, so an interrupted installation is taken up again.
    """
    files = [ROOT / file for file in SETS[name]]
    if _fresh(name, files):
        return
    with locked(_lock_file()):
        if _fresh(name, files):
            return
        need_space(ROOT, 400)
        _ensure_venv()
        say(f"packages: installing {files[-1].name} into .venv")
        install(["-r", str(files[-1])])
        for done, parts in SETS.items():
            if set(parts) <= set(SETS[name]):
                _stamp(done).write_text(_digest([ROOT / file for file in parts]))


def install_pins(name: str, target: Path | None = None) -> None:
    """Install the hash-pinned wheel of `pins-<name>.txt` for the Python that runs us, or in `target`."""
    arguments = ["--no-deps", "--require-hashes", "-r", str(PINS / f"pins-{name}.txt")]
    if target:
        install([*arguments, "--target", str(target)], python=sys.executable)
        return
    with locked(_lock_file()):
        install(arguments, python=sys.executable)


def install(arguments: Sequence[str], python: str = str(PYTHON)) -> None:
    """Run `uv pip install`, else (or when that fails) `pip install`, for the environment of `python`."""
    uv = shutil.which("uv")
    if uv:
        code, output = process.run([uv, "pip", "install", "--python", python, *arguments], env=_environment())
        if code == 0:
            return
        say(f"packages: uv failed ({_reason(output)}), trying pip")
    _ensure_pip(python)
    code, output = process.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--no-input",
            "--retries",
            "2",
            "--progress-bar",
            "off",
            "--no-compile",
            *arguments,
        ],
        env=_environment(),
        echo=_pip_progress,
    )
    if code != 0:
        raise StackError(f"packages: {_reason(output)}")


def _ensure_venv() -> None:
    version = _venv_version()
    if version and version < (3, 11):
        raise StackError(
            f".venv is of Python {version[0]}.{version[1]}, 3.11 is needed: remove it, then try again"
        )
    if version and PYTHON.exists():
        return
    say("packages: creating .venv")
    uv = shutil.which("uv")
    if uv:
        code, _ = process.run([uv, "venv", "--allow-existing", "--python", sys.executable, str(VENV)])
        if code == 0:
            return
    code, output = process.run([sys.executable, "-m", "venv", "--clear", str(VENV)], env=_environment())
    if code != 0:
        hint = "install Python's venv module (Debian: python3-venv) or uv"
        raise StackError(f"cannot create .venv ({_reason(output)}): {hint}")


def _ensure_pip(python: str) -> None:
    code, _ = process.run([python, "-c", "import pip"])
    if code != 0:
        process.run([python, "-m", "ensurepip", "--upgrade"])


def _venv_version() -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = re.search(r"version\w*\s*=\s*(\d+)\.(\d+)", (VENV / "pyvenv.cfg").read_text())
        return (int(found[1]), int(found[2])) if found else None
    return None


def _environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**env, **INSTALLER_SETTINGS}


def _fresh(name: str, files: list[Path]) -> bool:
    with contextlib.suppress(OSError):
        return PYTHON.exists() and _stamp(name).read_text() == _digest(files)
    return False


def _stamp(name: str) -> Path:
    return VENV / f".scoreboard-{name}"


def _digest(files: list[Path]) -> str:
    text = str(VENV) + "".join(file.read_text() for file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def _lock_file() -> Path:
    return cache_folder() / f"venv-{hashlib.sha256(str(VENV).encode()).hexdigest()[:12]}.lock"


def _pip_progress(line: str) -> None:
    found = re.match(r"\s*Downloading (\S+?)-\S+ \((\d.* MB)\)", line)
    if found:
        say(f"packages: {found[1]} ({found[2]})")


def _reason(output: str) -> str:
    """One line that says why an installation failed, from what the installer printed."""
    if re.search(r"No space left|Errno 28|ENOSPC", output):
        return "disk full while installing"
    if NO_ANSWER.search(output):
        return "the Python package registry did not answer: check the network, then run again"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no output"])[-1]

"""The checkout's virtual environment and its packages.

Standard library only: this runs before any package is installed.
"""

import contextlib
import hashlib
import re
import shutil
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.files import DOWNLOAD_MEGABYTES, ROOT, cache_folder, locked, need_space
from tools.devstack.install.installer import environment, install, reason
from tools.devstack.processes import children

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
INSTALLING = VENV / ".scoreboard-installing"
SETS = {
    "run": ["requirements.lock"],
    "test": ["requirements.lock", "requirements-dev.lock"],
}


def ensure(name: str) -> None:
    """Make `.venv` hold the set `name` ("run" or "test"); quick when its files have not changed.

    A mark is set before an installation and removed after it. An environment that still has the mark was
    interrupted: it is made anew.
    """
    files = [ROOT / file for file in SETS[name]]
    if _fresh(name, files):
        return
    with locked(_lock_file()):
        if _fresh(name, files):
            return
        need_space(ROOT, DOWNLOAD_MEGABYTES)
        _ensure_venv()
        say(f"packages: installing {files[-1].name} into .venv")
        install(["--require-hashes", "-r", str(files[-1])], python=str(PYTHON))
        for done, parts in SETS.items():
            if set(parts) <= set(SETS[name]):
                _stamp(done).write_text(_digest([ROOT / file for file in parts]))
        INSTALLING.unlink()


def _ensure_venv() -> None:
    """A usable `.venv`, with the mark of a running installation."""
    version = _venv_version()
    if version and version < (3, 11):
        raise StackError(
            f".venv is of Python {version[0]}.{version[1]}, 3.11 is needed: remove it, then try again"
        )
    if INSTALLING.exists():
        say("packages: the last installation was interrupted, making .venv anew")
    if INSTALLING.exists() or not PYTHON.exists():
        shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    INSTALLING.touch()
    if not PYTHON.exists():
        _create_venv()


def _create_venv() -> None:
    say("packages: creating .venv")
    uv = shutil.which("uv")
    if uv:
        command = [uv, "venv", "--allow-existing", "--python", children.BASE_PYTHON, str(VENV)]
        code, _ = children.run(command, env=environment())
        if code == 0:
            return
    code, output = children.run([children.BASE_PYTHON, "-m", "venv", str(VENV)], env=environment())
    if code != 0:
        hint = "install Python's venv module (Debian: python3-venv) or uv"
        raise StackError(f"cannot create .venv ({reason(output)}): {hint}")


def _venv_version() -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = re.search(r"version\w*\s*=\s*(\d+)\.(\d+)", (VENV / "pyvenv.cfg").read_text())
        return (int(found[1]), int(found[2])) if found else None
    return None


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

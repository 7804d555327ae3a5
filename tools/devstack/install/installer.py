"""Installs Python packages: with uv when it is there, else (or when that fails) with pip.

Standard library only: this runs before any package is installed.
"""

import os
import re
import shutil
from collections.abc import Sequence

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.processes import children

NO_ANSWER = re.compile(
    "NewConnectionError|ConnectTimeout|Max retries|timed out|unreachable|name resolution|could not resolve"
    "|error sending request|failed to fetch",
    re.IGNORECASE,
)
#: With these, Python or pip would look in other folders, or install into them.
ELSEWHERE = {
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "VIRTUAL_ENV"),
    *("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON"),
}
INSTALLER_SETTINGS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "UV_NATIVE_TLS": "1",  # trust the system's certificates, as pip does; uv's own name for it is
    "UV_SYSTEM_CERTS": "1",  # this one since 0.11
}


def install(arguments: Sequence[str], python: str) -> None:
    """Run `uv pip install`, else (or when that fails) `pip install`, for the environment of `python`."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--python", python, *arguments]
        code, output = children.run(command, env=environment(), echo=_show_download)
        if code == 0:
            return
        say(f"packages: uv failed ({reason(output)}), trying pip")
    _ensure_pip(python)
    code, output = children.run(
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
        env=environment(),
        echo=_show_download,
    )
    if code != 0:
        raise StackError(f"packages: {reason(output)}")


def _ensure_pip(python: str) -> None:
    code, _ = children.run([python, "-c", "import pip"])
    if code != 0:
        children.run([python, "-m", "ensurepip", "--upgrade"])


def environment() -> dict[str, str]:
    """The shell's environment with its registries and proxies, without settings that move an installation."""
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {**env, **INSTALLER_SETTINGS}


def _show_download(line: str) -> None:
    """Announce a large download, from a line of pip ("Downloading Django-5.2-py3-….whl (8.3 MB)") or of uv
    ("Downloading django (7.9MiB)")."""
    found = re.match(r"\s*Downloading (\S+?)(?:-\d\S*)? \((\d[\d.]* ?Mi?B)\)", line)
    if found:
        say(f"packages: {found[1]} ({found[2]})")


def reason(output: str) -> str:
    """The reason why an installation failed, in one line, from the installer's output."""
    if re.search(r"No space left|Errno 28|ENOSPC", output):
        return "disk full while installing"
    if NO_ANSWER.search(output):
        return "the Python package registry did not answer: check the network, then run again"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no output"])[-1]

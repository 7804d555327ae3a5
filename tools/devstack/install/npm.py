"""Packages of the npm registry that carry a program: fetched by `npm pack`, their hash checked."""

import base64
import dataclasses
import hashlib
import os
import threading
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.files import MEGABYTE
from tools.devstack.install.programs import find_npm
from tools.devstack.processes import children

# The Node.js wheel has certificates of its own. Only the system has that of a company's proxy.
SYSTEM_CERTIFICATES = {"NODE_USE_SYSTEM_CA": "1"}


@dataclasses.dataclass(frozen=True)
class Package:
    """A pinned package: `part` is what it is called in messages, `sha512` in base64."""

    part: str
    name: str
    version: str
    sha512: str
    megabytes: int


def fetch(package: Package, folder: Path) -> Path:
    """Download the archive into `folder`, with progress.

    StackError unless it is, byte for byte, the pinned one.
    """
    archive = _pack(package, folder)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != package.sha512:
        raise StackError(
            f"the download of {package.name}@{package.version} has not the pinned SHA-512: not used"
        )
    return archive


def _pack(package: Package, folder: Path) -> Path:
    npm = find_npm(folder / "node")
    say(f"{package.part}: downloading {package.name}@{package.version} ({package.megabytes} MB)")
    command = [
        *npm,
        "pack",
        f"{package.name}@{package.version}",
        f"--pack-destination={folder}",
        f"--cache={folder / 'npm'}",
    ]
    command += [
        "--loglevel=error",
        "--no-update-notifier",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
    ]
    done = threading.Event()
    watcher = threading.Thread(target=_report_progress, args=(package, folder / "npm", done), daemon=True)
    watcher.start()
    try:
        code, output = children.run(command, cwd=folder, env=os.environ | SYSTEM_CERTIFICATES)
    finally:
        done.set()
        watcher.join()
    archives = list(folder.glob("*.tgz"))
    if code != 0 or not archives:
        raise StackError(f"{package.part}: {_reason(output)}")
    return archives[0]


def _report_progress(package: Package, folder: Path, done: threading.Event) -> None:
    while not done.wait(3):
        got = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // MEGABYTE
        say(f"{package.part}: {min(got, package.megabytes)} of {package.megabytes} MB")


def _reason(output: str) -> str:
    """The reason why npm failed, in one line, from its output."""
    if "ENOSPC" in output:
        return "disk full while downloading"
    if any(code in output for code in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")):
        return "the npm registry did not answer: check the network or npm's settings, then run again"
    lines = [line for line in output.splitlines() if line.strip()]
    return f"npm failed: {lines[0] if lines else 'no output'}"

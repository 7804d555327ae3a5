"""DynamoDB Local, fetched once from the npm registry into the user's cache.

Its licence allows using it but not passing it on, so it is never part of the repository.
"""

import base64
import hashlib
import os
import shutil
import tarfile
import threading
from pathlib import Path

from devstack import process
from devstack.console import say
from devstack.errors import StackError
from devstack.files import MEGABYTE, cache_folder, made_once
from devstack.tools import find_npm

PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"
SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
ARCHIVE_MEGABYTES = 57
JAR = "DynamoDBLocal.jar"
# The Node.js wheel brings certificates of its own; a company's proxy is known to the system only.
SYSTEM_CERTIFICATES = {"NODE_USE_SYSTEM_CA": "1"}


def dynamodb_folder() -> Path:
    """The folder with DynamoDBLocal.jar, downloaded and unpacked if need be."""
    return made_once(cache_folder() / f"dynamodb-local-{VERSION}", _fill)


def _fill(work: Path) -> Path:
    archive = _fetch(work)
    check_integrity(archive)
    _unpack(archive, work / "unpacked")
    say("dynamodb: unpacked")
    return work / "unpacked"


def check_integrity(archive: Path) -> None:
    """StackError unless the archive is, byte for byte, the one this stack was built with."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise StackError(f"the download of {PACKAGE}@{VERSION} has not the pinned SHA-512: not used")


def _fetch(folder: Path) -> Path:
    npm = find_npm(folder / "node")
    say(f"dynamodb: downloading {PACKAGE}@{VERSION} ({ARCHIVE_MEGABYTES} MB)")
    command = [
        *npm,
        "pack",
        f"{PACKAGE}@{VERSION}",
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
    watcher = threading.Thread(target=_report_progress, args=(folder / "npm", done), daemon=True)
    watcher.start()
    try:
        code, output = process.run(command, cwd=folder, env=os.environ | SYSTEM_CERTIFICATES)
    finally:
        done.set()
        watcher.join()
    archives = list(folder.glob("*.tgz"))
    if code != 0 or not archives:
        raise StackError(f"dynamodb: {_reason(output)}")
    return archives[0]


def _report_progress(folder: Path, done: threading.Event) -> None:
    while not done.wait(3):
        got = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // MEGABYTE
        say(f"dynamodb: {min(got, ARCHIVE_MEGABYTES)} of {ARCHIVE_MEGABYTES} MB")


def _unpack(archive: Path, folder: Path) -> None:
    """Write the files below `package/emulator/` of the archive to `folder`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            place = Path(member.name)
            if not member.isfile() or place.parts[:2] != ("package", "emulator") or ".." in place.parts:
                continue
            target = folder.joinpath(*place.parts[2:])
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source:
                with source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)


def _reason(output: str) -> str:
    """One line that says why npm failed, from what it printed."""
    if "ENOSPC" in output:
        return "disk full while downloading"
    if any(code in output for code in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")):
        return "the npm registry did not answer: check the network or npm's settings, then run again"
    lines = [line for line in output.splitlines() if line.strip()]
    return f"npm failed: {lines[0] if lines else 'no output'}"

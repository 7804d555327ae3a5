"""A real Chromium for the page tests and the pictures in docs/: the machine's, else one from npm."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from playwright._impl._driver import compute_driver_executable

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install import npm
from tools.devstack.install.files import cache_folder, made_once

#: A Chromium without a window for small containers, with the libraries that they lack.
PACKAGE = npm.Package(
    part="chromium",
    name="@sparticuz/chromium",
    version="153.0.0",
    sha512="jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
    megabytes=70,
)
#: Node.js, as Playwright brings it along; Python's library has no Brotli.
NODE = str(compute_driver_executable()[0])
_UNPACK = (
    "const {createReadStream: r, createWriteStream: w} = require('fs');"
    "r(process.argv[1]).pipe(require('zlib').createBrotliDecompress()).pipe(w(process.argv[2]))"
)
_START = """#!/bin/sh
here=${0%/*}
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$here/lib" exec "$here/chromium" "$@"
"""

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

#: No sandbox because CI runs as root in a container, and no requests to Google: the network is closed.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """The command of a Chromium or Chrome: CHROMIUM's, the PATH's, else a fetched one (Linux on x86-64).

    Raises StackError where there is none.
    """
    for name in (os.environ.get("CHROMIUM") or "", *NAMES, MAC):
        if found := shutil.which(name):
            return found
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return str(made_once(cache_folder() / f"chromium-{PACKAGE.version}", _fill) / "start")
    raise StackError("chromium: not here; install Chromium or Chrome, or set CHROMIUM to its path")


def _fill(work: Path) -> Path:
    folder = work / "unpacked"
    folder.mkdir()
    with tarfile.open(npm.fetch(PACKAGE, work)) as archive:
        for name in ("chromium.br", "al2023.tar.br"):
            packed = archive.extractfile(f"package/bin/{name}")
            if packed is None:
                raise StackError(f"chromium: {name} is not in the package")
            (work / name).write_bytes(packed.read())
            subprocess.run([NODE, "-e", _UNPACK, work / name, folder / name.removesuffix(".br")], check=True)
    with tarfile.open(folder / "al2023.tar") as libraries:
        libraries.extractall(folder, filter="data")
    (folder / "al2023.tar").unlink()
    (folder / "start").write_text(_START)
    for program in ("chromium", "start"):
        (folder / program).chmod(0o755)
    say("chromium: unpacked")
    return folder

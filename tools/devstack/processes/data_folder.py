"""The data folder of a running stack: its lock, its address book `stack.env`, its room on the disk."""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.files import MEGABYTE, need_space, try_lock, writable_folder
from tools.devstack.processes.guard import is_zombie

NEEDED_MEGABYTES = 50
LOW_SPACE_MEGABYTES = 20
LOCK = ".lock"
ADDRESSES = "stack.env"
ACCESS_KEY = "dynamodb.key"


def keep_private() -> None:
    """Make the files that we and our children write from now on readable by their owner only."""
    os.umask(0o077)


def claim(folder: Path) -> int:
    """Create and lock the folder; the lock's file descriptor. StackError while another stack uses it.

    The lock is handed on to the guard, so it also lasts while the parts of a killed stack are ended.
    """
    writable_folder(folder)
    need_space(folder, NEEDED_MEGABYTES)
    deadline = time.monotonic() + 15
    waiting = False
    while (descriptor := try_lock(folder / LOCK)) is None:
        owner = (folder / LOCK).read_text().strip()
        if _is_alive(owner) or time.monotonic() > deadline:
            raise StackError(
                f"the data folder {folder} is in use by another stack, process {owner or 'unknown'}:"
                " stop that one, or choose another DATA_DIR"
            )
        if not waiting:
            say(f"waiting for the parts of process {owner}, which was killed, to end")
        waiting = True
        time.sleep(0.1)
    for database in folder.glob("admin.sqlite3*"):  # made before `keep_private`, or by hand
        database.chmod(0o600)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def access_key(folder: Path) -> str:
    """The access key of this folder's tables in DynamoDB Local, made at the first start.

    DynamoDB Local is open to the network and accepts any access key, but shows each key its own tables only.
    """
    path = folder / ACCESS_KEY
    if not path.exists():
        draft = folder / f"{ACCESS_KEY}.new"
        write_private(draft, secrets.token_hex(16))
        draft.replace(path)
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a new file that nobody but its owner can read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def write_addresses(folder: Path, values: Mapping[str, str]) -> None:
    """Write the addresses for `manage.py` in other shells: KEY=VALUE lines, replaced in one step."""
    draft = folder / f"{ADDRESSES}.new"
    write_private(draft, "".join(f"{name}={value}\n" for name, value in values.items()))
    draft.replace(folder / ADDRESSES)


def remove_addresses(folder: Path) -> None:
    (folder / ADDRESSES).unlink(missing_ok=True)


def space_watch(folder: Path, tell: Callable[[str], None]) -> Callable[[], None]:
    """A check that warns once when the disk of the data folder is almost full."""
    state = {"next": 0.0, "told": 0.0}

    def check() -> None:
        if time.monotonic() < state["next"]:
            return
        state["next"] = time.monotonic() + 5
        free = shutil.disk_usage(folder).free // MEGABYTE
        if free < LOW_SPACE_MEGABYTES and not state["told"]:
            tell(f"disk full: {free} MB free at {folder}; updates will fail until there is room")
        state["told"] = float(free < LOW_SPACE_MEGABYTES)

    return check


def _is_alive(pid: str) -> bool:
    if not pid.isdigit() or is_zombie(int(pid)):
        return False
    with contextlib.suppress(ProcessLookupError):
        with contextlib.suppress(PermissionError):
            os.kill(int(pid), 0)
        return True
    return False

"""A process as a container has it: user 10001, the whole file system read-only, an empty writable /tmp."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Runs as root of its own user namespace. Every mount becomes read-only but for those of the kernel; then
# /tmp is new, and the user stops being root.
_SCRIPT = """
set -e
application=$1 venv=$2; shift 2
mount -t tmpfs none /mnt
mkdir /mnt/app /mnt/venv
mount --bind "$application" /mnt/app
mount --bind "$venv" /mnt/venv
while read -r _ _ _ _ place _; do
    case $place in /proc* | /sys* | /dev*) continue ;; esac
    mount -o remount,bind,ro "$(printf %b "$place")" 2>/dev/null || true
done < /proc/self/mountinfo
mount -t tmpfs none /tmp
cd /mnt/app
exec unshare --user --map-user=10001 --map-group=10001 "$@"
"""
_UNSHARE = ["unshare", "--map-root-user", "--mount", "--propagation", "private"]


_NO_NETWORK = ["unshare", "--map-root-user", "--net"]
#: What has not been proved here, because the system does not permit it; said at the end of the run.
unproved: set[str] = set()


@functools.cache
def permitted(what: str, *command: str) -> bool:
    """Whether this system lets us have the namespaces in which `command` ends well.

    With CI=true it must, or tests would pass there that prove nothing.
    """
    if shutil.which("unshare") and subprocess.run(command, capture_output=True).returncode == 0:
        return True
    text = f"{what}: this system permits no user namespaces (`{' '.join(command)}` fails)"
    hint = "on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    assert os.environ.get("CI") != "true", f"{text}; {hint}"
    unproved.add(text)
    return False


def available() -> bool:
    """Whether there can be containers. Without them the command just runs."""
    user = ["unshare", "--user", "--map-user=10001", "--map-group=10001"]
    return permitted("a read-only root and user 10001", *_UNSHARE, *user, "true")


def without_network() -> list[str]:
    """A command that runs another one without any network; empty where the system does not permit it."""
    return _NO_NETWORK if permitted("templates made without a network", *_NO_NETWORK, "true") else []


def contained(application: Path, environment: Path, command: Sequence[str]) -> list[str]:
    """`command`, a `python …`, in the container that has `application` as its working directory.

    `environment` is the virtual environment of the image.
    """
    assert command[0] == "python"
    if not available():
        return [str(environment / "bin" / "python"), *command[1:]]
    script = ["sh", "-c", _SCRIPT, "sandbox", str(application), str(environment)]
    return [*_UNSHARE, *script, "/mnt/venv/bin/python", *command[1:]]

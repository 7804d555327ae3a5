"""A process as a container has it: user 10001, the whole file system read-only, an empty writable /tmp."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
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


@functools.cache
def available() -> bool:
    """Whether this system lets us have namespaces. Without them the command just runs."""
    if not shutil.which("unshare"):
        return False
    tried = [*_UNSHARE, "unshare", "--user", "--map-user=10001", "--map-group=10001", "true"]
    return subprocess.run(tried, capture_output=True).returncode == 0


def contained(application: Path, command: Sequence[str]) -> list[str]:
    """`command`, a `python …`, in the container that has `application` as its working directory."""
    assert command[0] == "python"
    if not available():
        return [sys.executable, *command[1:]]
    script = ["sh", "-c", _SCRIPT, "sandbox", str(application), sys.prefix]
    return [*_UNSHARE, *script, "/mnt/venv/bin/python", *command[1:]]

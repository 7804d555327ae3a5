"""Ends process groups whose starter is gone. Runs as a process of its own and imports nothing of ours.

Standard input carries one line per change: `+ PGID GRACE` and `- PGID`. When it closes, or when
the starter (argument 1) is no longer the parent, every group still listed is ended, the newest
first: SIGTERM and up to GRACE seconds, then SIGKILL. This works the same on Linux and macOS and
survives a SIGKILL of the starter.
"""

import os
import select
import signal
import sys
import time

TICK_SECONDS = 0.02


def end_group(pgid: int, grace: float) -> None:
    """End one process group: SIGTERM, up to `grace` seconds of patience (0: none), SIGKILL."""
    deadline = time.monotonic() + grace
    try:
        if grace > 0:
            os.killpg(pgid, signal.SIGTERM)
        while time.monotonic() < deadline and not is_zombie(pgid):
            os.killpg(pgid, 0)
            time.sleep(TICK_SECONDS)
        os.killpg(pgid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def is_zombie(pid: int) -> bool:
    """Whether the process has ended and only waits for init, which in containers can take seconds."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _apply(line: bytes, groups: dict[int, float]) -> None:
    words = line.split()
    if words[0] == b"+":
        groups[int(words[1])] = float(words[2])
    else:
        groups.pop(int(words[1]), None)


def watch(parent: int) -> dict[int, float]:
    """Follow standard input until the starter is gone; the groups it left, oldest first."""
    groups: dict[int, float] = {}
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.5)
        if not readable:
            if os.getppid() != parent:
                return groups
            continue
        chunk = os.read(0, 4096)
        if not chunk:
            return groups
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            _apply(line, groups)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = watch(int(sys.argv[1]))
    for pgid, grace in reversed(left.items()):
        end_group(pgid, grace)


if __name__ == "__main__":
    main()

"""How long `make run` takes on a machine that has never seen it, and what it fetches: `make bench-start`.

For each kind of machine a fresh checkout, an empty home and an empty cache, with nothing on the PATH but what
the row names. Seconds are from the command to the line that shows the address: of the first start, then the
median of three more. Downloaded is what the network cards have received meanwhile (Linux), on disk what is
in `.venv` and the cache afterwards. Needs java, node and npm on this machine. Writes the table into
docs/running.md.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tools.devstack.errors import StackError
from tools.devstack.tests.machines import bare_environment, fresh_checkout, start
from tools.reporting import pages

FIRST_S = 600.0
LATER = 3
HEAD = ("the machine has", "first start, s", "later, s", "downloaded, MB", "on disk, MB")
MEGABYTE = 1_000_000


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="start-") as temporary:
        folder = Path(temporary)
        java, node, npm = map(program, ("java", "node", "npm"))
        kinds = {
            "only Python": [],
            "Java, too": [java],
            "Java and npm": [java, node, npm],
            "Java, npm and uv": [java, node, npm, uv(folder / "uv")],
        }
        for number, (kind, programs) in enumerate(kinds.items()):
            row = measure(folder / str(number), programs)
            print(f"… {kind}: {', '.join(map(' '.join, zip(HEAD[1:], row, strict=True)))}", flush=True)
            rows.append((kind, *row))
            shutil.rmtree(folder / str(number))
    text = pages.table(HEAD, rows)
    print(f"\n{text}")
    pages.fill("running.md", "start", text)


def measure(folder: Path, programs: list[Path]) -> list[str]:
    """The cells of one kind of machine, made in `folder`."""
    env = bare_environment(folder / "machine", *programs)
    checkout = fresh_checkout(folder / "checkout")
    before = received()
    first = seconds(checkout, env)
    downloaded = (received() - before) / MEGABYTE
    later = median(seconds(checkout, env) for _ in range(LATER))
    kept = [checkout / ".venv", folder / "machine" / "home"]
    on_disk = sum(size(each) for each in kept) / MEGABYTE
    return [f"{first:.0f}", f"{later:.0f}", f"{downloaded:.0f}", f"{on_disk:.0f}"]


def seconds(checkout: Path, env: dict[str, str]) -> float:
    """From the command to the address."""
    with start(checkout, env) as running:
        try:
            lasted = running.wait_ready(FIRST_S)
        except AssertionError as error:
            raise StackError(f"it did not start: {error}") from error
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(30)
    return lasted


def program(name: str) -> Path:
    """Raises StackError when it is not on this machine."""
    found = shutil.which(name)
    if not found:
        raise StackError(f"{name} is needed on this machine, to put it on the PATH of the imitated ones")
    return Path(found)


def uv(folder: Path) -> Path:
    """uv, fetched for this measurement only."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "uv"]
    subprocess.run(command, check=True)
    return folder / "bin" / "uv"


def received() -> int:
    """Bytes that came in over the network since the machine was started."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    cards = {name.strip(): int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return sum(count for name, count in cards.items() if name != "lo")


def size(folder: Path) -> int:
    """Bytes on disk below a folder; a file with several names counts once."""
    files = {(at.st_dev, at.st_ino): at.st_blocks * 512 for at in map(Path.lstat, folder.rglob("*"))}
    return sum(files.values())


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")

"""Simulates many players and viewers with locust: `python -m tools.benchmarks.load` (or `make load`).

Without `--host`, stores and a server are started for it, the server on a core of its own. The HTML report
is in `.local/load/`; at the end the scores are compared with the points that were acknowledged, and the
exit status is 1 if one is wrong. The simulated users: tools/benchmarks/load/locustfile.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import django

from tools.benchmarks import product
from tools.devstack.errors import StackError
from tools.devstack.install.dev_programs import find_locust
from tools.devstack.install.files import ROOT
from tools.devstack.run import is_ready


def main() -> None:
    parser = argparse.ArgumentParser(
        "python3 -m tools load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--players", type=int, default=200, help="each scores about every third second")
    parser.add_argument("--viewers", type=int, default=300, help="open WebSockets")
    parser.add_argument("--visitors", type=int, default=20, help="asking for the board over HTTP")
    parser.add_argument("--seconds", type=int, default=120, help="of the run; users arrive in its first half")
    parser.add_argument("--host", help="a running server of this checkout, such as http://127.0.0.1:8000")
    options = parser.parse_args()
    locust = find_locust()
    with (
        tempfile.TemporaryDirectory(prefix="load-") as folder,
        server(Path(folder), options.host) as (host, data),
    ):
        code = play(locust, options, host, data, Path(folder))
    raise SystemExit(code)


@contextlib.contextmanager
def server(folder: Path, host: str | None) -> Iterator[tuple[str, Path]]:
    """Where to play, and the data folder with its token issuer's key."""
    if host:
        if not is_ready(urlsplit(host).port or 80):
            raise StackError(f"no server is ready at {host}: start one with `make run`")
        yield host.rstrip("/"), Path(os.environ.get("DATA_DIR", ROOT / ".local"))
        return
    core = 0 if hasattr(os, "sched_setaffinity") else None
    with product.stores() as (env, _, _), product.server(env, core) as part:
        yield part.url, Path(env["DATA_DIR"])
        print(part.death() if not part.running else "the server is still there", flush=True)


def play(locust: list[str], options: argparse.Namespace, host: str, data: Path, folder: Path) -> int:
    """Run locust; its exit status."""
    report = ROOT / ".local" / "load" / "report.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps(minted(data, options.players)))
    people = {"players": options.players, "viewers": options.viewers, "visitors": options.visitors}
    users = sum(people.values())
    command = [*locust, "-f", str(Path(__file__).with_name("locustfile.py")), "--headless", "--host", host]
    command += ["--users", str(users), "--spawn-rate", str(max(1, 2 * users // options.seconds))]
    command += [
        "--run-time",
        f"{options.seconds}s",
        "--stop-timeout",
        "5",
        "--html",
        str(report),
        "--only-summary",
    ]
    env = os.environ | {"LOAD_TOKENS": str(tokens), "LOAD_SHARES": json.dumps(people)}
    env.pop("PYTHONPATH", None)
    code = subprocess.call(command, env=env, cwd=folder)
    print(f"report: {report}", flush=True)
    return code


def minted(data: Path, players: int) -> list[tuple[str, str]]:
    """A user id and an own token for each player."""
    os.environ |= {"DATA_DIR": str(data), "DJANGO_SETTINGS_MODULE": "scoreboard_site.settings"}
    django.setup()
    from scores.identity import local_issuer

    return [(user_id, local_issuer.mint(user_id)) for user_id in (f"load-{n}" for n in range(players))]


if __name__ == "__main__":
    main()

"""The stage of every scenario: real stores behind proxies, several server processes, and their clients.

pages, writers ──▶ web 0, web 1 … ──▶ proxy ──▶ DynamoDB Local (on disk)
                                 └──▶ proxy ──▶ Valkey
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from realtime.server.open_files import raise_file_limit
from tools.devstack.errors import StackError
from tools.devstack.install.files import ROOT
from tools.devstack.processes import children
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port
from tools.devstack.processes.stores import start_dynamodb, start_valkey
from tools.devstack.run import is_ready
from tools.faults.checks.evidence import Moderated
from tools.faults.checks.truth import Away, RankingKeys, Tables
from tools.faults.proxies.http import HttpProxy
from tools.faults.proxies.tcp import Proxy, wait_until
from tools.faults.traffic.viewers import Page, Pages

#: Who plays. The last ones are those that moderators have a look at.
PLAYERS = [f"player-{number:02}" for number in range(24)]
MODERATED = [f"moderated-{number:02}" for number in range(4)]
PAGES = 8
#: Updates that one process answers at a time: few, so that this machine can offer more.
MAX_WRITES = 32
#: DynamoDB Local that has just started is slower than clients wait for; later it reads all in this time (s).
WARM_S = 0.5

Say = Callable[[str], None]


class Web:
    """A server process with fail points."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], log: list[str]) -> None:
        self.fail_point = folder / f"{name}.fail-point"
        port = free_port()
        own = {"PORT": str(port), "FAIL_POINT_FILE": str(self.fail_point)}
        self.part = Part(
            name,
            [sys.executable, "-m", "tools.faults.armed", "serve", "--port", str(port)],
            port=port,
            url=f"http://127.0.0.1:{port}",
            probe=partial(is_ready, port),
            env={**os.environ, **environment, **own},
            cwd=ROOT,
            grace=25.0,
            sink=lambda line: log.append(f"{name}: {line}"),
        )

    @property
    def port(self) -> int:
        return self.part.port

    def arm(self, point: str, player: str = "") -> None:
        """The next update (of this player) that reaches this point kills the process."""
        temporary = self.fail_point.with_suffix(".new")
        temporary.write_text(f"{point}\n{player}")
        temporary.rename(self.fail_point)

    def disarm(self) -> None:
        self.fail_point.unlink(missing_ok=True)

    def restart(self) -> None:
        """Start it again when it has ended, and wait until it is ready."""
        if not self.part.running:
            self.part.reap()
        self.part.start()
        self.part.wait_ready()


class Moderator:
    """A process that moderates, behind the same proxies as the servers."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: list[str]) -> None:
        self._fail_point = folder / "moderator.fail-point"
        self._log = log
        self._environment = {**os.environ, **environment, "FAIL_POINT_FILE": str(self._fail_point)}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Moderator:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.faults.armed", "moderate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
            cwd=ROOT,
        )
        threading.Thread(target=self._keep_log, args=(self._process.stderr,), daemon=True).start()
        self._answer()
        return self

    def act(self, player: str, action: str, entry_id: str, amount: int = 0) -> dict[str, Any] | None:
        """One try: {"version"} or {"error"}; None when the process was killed on the way."""
        line = {"player": player, "action": action, "entry_id": entry_id, "amount": amount, "until": None}
        assert self._process and self._process.stdin
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def arm(self, point: str) -> None:
        self._fail_point.write_text(point)

    def kill(self) -> None:
        """SIGKILL: whatever it had in mind is forgotten."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        pass
        self._process = None

    def _keep_log(self, stderr: IO[str]) -> None:
        with stderr:
            self._log.extend(f"moderator: {line.rstrip()}" for line in stderr)

    def _answer(self) -> dict[str, Any] | None:
        assert self._process and self._process.stdout
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


class Stage:
    """Everything that runs. A context manager; `say` is told what takes long."""

    def __init__(self, folder: Path, *, webs: int = 2, say: Say = lambda text: None) -> None:
        self.folder = folder
        self.log: list[str] = []
        self._say = say
        self._webs = webs
        self._stack: list[Callable[[], None]] = []
        self._actions = 0

    def __enter__(self) -> Stage:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        raise_file_limit()
        # Leave loaded objects out of garbage collection: a long one would look like a slow server.
        gc.collect()
        gc.freeze()
        self._say("starting DynamoDB Local and Valkey")
        self.dynamodb = self._closing(start_dynamodb(self.folder), Part.stop)
        self.valkey = self._closing(start_valkey(None), Part.stop)
        self.to_dynamodb = self._closing(HttpProxy(self.dynamodb.port), HttpProxy.close)
        self.to_valkey = self._closing(Proxy(self.valkey.port), Proxy.close)
        self.tables = Tables(self.dynamodb.url)
        self.ranking = RankingKeys(self.valkey.url)
        self.environment = {
            "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{self.to_dynamodb.port}",
            "REDIS_URL": f"redis://127.0.0.1:{self.to_valkey.port}/0",
            "SCOREBOARD_MAX_INCREMENT": "1000000",
            "SCOREBOARD_PLAYER_RATE": "1000",
            "SCOREBOARD_PLAYER_BURST": "5000",
            "SCOREBOARD_MAX_WRITES": str(MAX_WRITES),
            "LOG_FORMAT": "line",
        }
        self.run_command("create_tables")
        self._say(f"starting {self._webs} server processes")
        self.webs = [
            self._closing(
                Web(f"web {n}", self.folder, self.environment, self.log), lambda web: web.part.stop()
            )
            for n in range(self._webs)
        ]
        for web in self.webs:
            web.part.start()
        for web in self.webs:
            web.part.wait_ready()
        self.generation = self.tables.generation()
        #: The address for pages: any running server.
        self.balancer = self._closing(Proxy(*self.ports), Proxy.close)
        origins = [f"http://127.0.0.1:{self.balancer.port}"] * PAGES
        self._pages = self._closing(Pages(origins).start(), Pages.stop)

    def _closing(self, thing: Any, close: Callable[[Any], None]) -> Any:
        self._stack.append(partial(close, thing))
        return thing

    def close(self) -> None:
        """End everything, the youngest first."""
        while self._stack:
            self._stack.pop()()

    # --- For scenarios -----------------------------------------------------------------------------

    @property
    def ports(self) -> list[int]:
        return [web.port for web in self.webs]

    @property
    def pages(self) -> list[Page]:
        pages: list[Page] = self._pages.pages
        return pages

    def token(self, subject: str = "server") -> str:
        """A server's token of the local issuer."""
        from scores.identity import local_issuer
        from scores.identity.verifier import WRITE_SCOPE

        return local_issuer.mint(subject, WRITE_SCOPE)

    def run_command(self, *arguments: str) -> None:
        """A management command that may be repeated, past the proxies."""
        past = {"DYNAMODB_ENDPOINT_URL": self.dynamodb.url, "REDIS_URL": self.valkey.url}
        env = {**os.environ, **self.environment, **past}
        for left in reversed(range(3)):  # on a busy machine a store that has just started is slow
            code, output = children.run([sys.executable, "manage.py", *arguments], env=env, cwd=ROOT)
            if code == 0:
                return
            if not left:
                raise StackError(f"{arguments[0]} failed: {output[-2000:]}")

    def moderator(self) -> Moderator:
        return Moderator(self.folder, self.environment, self.log)

    def heal(self) -> None:
        """Undo every fault: proxies pass, stores and servers run."""
        for proxy in (self.to_dynamodb, self.to_valkey, self.balancer):
            proxy.restore()
        for store in (self.dynamodb, self.valkey):
            thaw(store)
            if not store.running:
                store.reap()
                store.start()
            store.wait_ready()
        wait_until(self._answers_fast, 30, "DynamoDB Local has warmed up")
        for web in self.webs:
            web.disarm()
        starting = [threading.Thread(target=web.restart) for web in self.webs if not web.part.running]
        for each in starting:
            each.start()
        for each in starting:
            each.join()

    def _answers_fast(self) -> bool:
        began = time.monotonic()
        try:
            self.tables.rows()
        except Away:
            return False
        return time.monotonic() - began < WARM_S

    def moderate(
        self, moderator: Moderator, player: str, action: str, amount: int = 0, seconds: float = 60
    ) -> Moderated:
        """One action, tried with the same entry id until it is answered or the moderator was killed."""
        self._actions += 1
        entry_id = f"MOD#{time.time_ns():020d}-{self._actions}"
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            answer = moderator.act(player, action, entry_id, amount)
            if answer is None or answer.get("error") == "refused":
                break
            if "version" in answer:
                return Moderated(player, action, entry_id, began, time.monotonic(), amount)
            time.sleep(0.05)
        return Moderated(player, action, entry_id, began, None, amount)

    def wait_until_well(self, seconds: float = 30.0) -> None:
        """Until every server is ready, the ranking is the table's top and every page shows it."""
        for web in self.webs:
            wait_until(web.part.ready, seconds, f"{web.part.name} is ready")
        truth = self.tables.read()
        wait_until(
            lambda: self.ranking.rows(self.generation) == truth.rows,
            seconds,
            "the ranking is the table's top",
        )
        wait_until(
            lambda: all((page.rows or ()) == truth.rows for page in self.pages), seconds, "the pages show it"
        )


def freeze(part: Part) -> None:
    """Stop a process where it is; its connections stay open."""
    os.kill(part.pid, signal.SIGSTOP)


def thaw(part: Part) -> None:
    if part.running:
        os.kill(part.pid, signal.SIGCONT)

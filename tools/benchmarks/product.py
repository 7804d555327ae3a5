"""Our own server as the benchmarks run it: one process, with stores of its own, and a client that writes."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.devstack.install.files import ROOT
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port
from tools.devstack.processes.stores import start_dynamodb, start_valkey
from tools.devstack.run import is_ready


@contextmanager
def stores() -> Iterator[tuple[dict[str, str], Part, Part]]:
    """Stores of our own on disk, with empty tables and a ready ranking: (environment, DynamoDB, Valkey)."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data = Path(folder)
        dynamodb, valkey = start_dynamodb(data), start_valkey(data)
        urls = {"DATA_DIR": folder, "DYNAMODB_ENDPOINT_URL": dynamodb.url, "REDIS_URL": valkey.url}
        env = {**os.environ, **urls}
        try:
            manage(env, "create_tables")
            manage(env, "rebuild_ranking", "--full")
            yield env, dynamodb, valkey
        finally:
            valkey.stop()
            dynamodb.stop()


@contextmanager
def server(env: dict[str, str], core: int | None) -> Iterator[Part]:
    """A server process of the product, ready, on the given core."""
    port = free_port()
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pinned, sys.executable, "manage.py", "serve", "--host", "127.0.0.1", "--port", str(port)]
    env = {**env, "PORT": str(port), "LOG_LEVEL": "WARNING"}
    web = Part("web", command, port=port, probe=lambda: is_ready(port), env=env, cwd=ROOT, sink=print)
    with web.serving():
        yield web


def server_token(env: dict[str, str]) -> str:
    """A token that may write for any player."""
    return manage(env, "token", "--user", "bench", "--scope", "scoreboard/score.write").split()[-1]


def manage(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


class Writer:
    """One connection that sends updates with a server's token."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._token = token

    def close(self) -> None:
        self._connection.close()

    def add(self, player: str, increment: int = 1) -> int:
        """The new score; RuntimeError for any other answer, because figures with refusals mean nothing."""
        body = json.dumps({"userId": player, "increment": increment})
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        headers["Idempotency-Key"] = str(uuid.uuid4())
        self._connection.request("POST", "/score/update", body, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"an update was answered with {response.status}: {answer}")
        return int(answer["newScore"])

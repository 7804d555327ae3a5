"""The three servers that are compared side by side, started alike, and viewers for each of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tools.benchmarks.product import manage
from tools.benchmarks.programs import BUILD, SERVER_CORE
from tools.devstack.install.files import ROOT
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import answers, free_port
from tools.devstack.run import is_ready


@dataclass(frozen=True)
class Contender:
    """A server. `PORT` in its command is replaced by the port; its scores are in `table`."""

    name: str
    command: tuple[str, ...]
    table: str
    engine_io: bool = False

    @property
    def path(self) -> str:
        return "/socket.io/?EIO=4&transport=websocket" if self.engine_io else "/ws/scoreboard"


_ours = (sys.executable, "manage.py", "serve", "--host", "127.0.0.1", "--port", "PORT")
_node = ("node", str(BUILD / "express.mjs"), "PORT")
_daphne = (sys.executable, "-m", "daphne", "--verbosity", "0", "-b", "127.0.0.1", "-p", "PORT")
_channels = "tools.benchmarks.servers.plain_channels:application"
CONTENDERS = (
    Contender("ours", _ours, "UserScores"),
    Contender("Express + socket.io", _node, "SeedScores", engine_io=True),
    Contender("Channels, plain", (*_daphne, _channels), "PlainScores"),
)


def environment(data: Path, dynamodb_url: str, redis_url: str) -> dict[str, str]:
    """The stores and the token issuer, for all of them; our tables and the issuer's key are made."""
    issuer = data / "issuer" / "jwks.json"
    env = os.environ | {
        "DEBUG": "true",
        "DATA_DIR": str(data),
        "DYNAMODB_ENDPOINT_URL": dynamodb_url,
        "REDIS_URL": redis_url,
        "SCOREBOARD_MAX_INCREMENT": "1000000000",
        "LOG_LEVEL": "WARNING",
        "JWKS_FILE": str(issuer),
        "ISSUER": "urn:scoreboard:local-issuer",
        "PYTHONPATH": str(ROOT),
    }
    # Safe to repeat; the first write of an emulator may take longer than the product waits.
    for attempts_left in (2, 1, 0):
        try:
            manage(env, "create_tables")
            return env
        except subprocess.CalledProcessError:
            if not attempts_left:
                raise
    raise AssertionError("unreachable")


def token(env: dict[str, str]) -> str:
    """A token of the site's server, which may write for anybody."""
    return manage(env, "token", "--user", "bench", "--scope", "scoreboard/score.write").split()[-1]


@contextlib.contextmanager
def running(contender: Contender, env: Mapping[str, str], log: Path) -> Iterator[Part]:
    """The server on its core, ready; what it prints goes to the file `log`."""
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in contender.command]
    with log.open("a") as file:
        part = Part(
            contender.name,
            ["taskset", "-c", SERVER_CORE, *command],
            port=port,
            url=f"http://127.0.0.1:{port}",
            probe=partial(_ready, port),
            env={**env, "PORT": str(port)},
            cwd=ROOT,
            sink=lambda line: print(line, file=file),
        )
        with part.serving():
            yield part


def _ready(port: int) -> bool:
    return answers(port) and is_ready(port)


def scores(dynamodb_url: str, contender: Contender) -> dict[str, int]:
    """The scores in the table by player, read consistently."""
    import botocore.session

    client = botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=dynamodb_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    found: dict[str, int] = {}
    for page in client.get_paginator("scan").paginate(TableName=contender.table, ConsistentRead=True):
        found |= {item["userId"]["S"]: int(item["score"]["N"]) for item in page["Items"] if "score" in item}
    return found


class Viewer:
    """One open page: WebSocket as our page opens it, or as socket.io's client does."""

    def __init__(self, contender: Contender, port: int) -> None:
        self._engine_io = contender.engine_io
        self._url = f"ws://127.0.0.1:{port}{contender.path}"
        self._socket: ClientConnection | None = None

    async def open(self) -> None:
        self._socket = await connect(self._url, compression=None, ping_interval=None)
        if self._engine_io:
            await self._socket.recv()
            await self._socket.send("40")

    async def close(self) -> None:
        if self._socket:
            await self._socket.close()

    async def board(self) -> dict[str, Any]:
        """The next board. Raises websockets.ConnectionClosed."""
        assert self._socket
        while True:
            text = str(await self._socket.recv())
            if self._engine_io:
                if text == "2":
                    await self._socket.send("3")
                if not text.startswith('42["board",'):
                    continue
                text = text[len('42["board",') : -1]
            message: dict[str, Any] = json.loads(text)
            if "top10" in message:
                return message


async def shows(viewer: Viewer, player: str, score: int) -> None:
    """Return when the viewer has a board with this player at this score or above."""
    while True:
        board = await viewer.board()
        if any(row["userId"] == player and row["score"] >= score for row in board["top10"]):
            return


async def open_viewers(contender: Contender, port: int, count: int) -> list[Viewer]:
    viewers = [Viewer(contender, port) for _ in range(count)]
    await asyncio.gather(*(viewer.open() for viewer in viewers))
    return viewers

"""The contents of the stores, read without the product's code; the tables are read consistently."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Any

import botocore.session
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BOARD_SIZE = 10
#: How long the tables are read again until they hold still (s).
PATIENCE_S = 60.0

#: (user id, name or None, score) of each row, best first.
Rows = tuple[tuple[str, str | None, int], ...]


class Away(Exception):
    """The store did not answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Player:
    """One item of UserScores."""

    user_id: str
    score: int
    version: int
    reached_at: int
    name: str | None
    state: str


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One item of ScoreLedger."""

    user_id: str
    entry_id: str
    kind: str
    increment: int
    new_score: int
    version: int

    def __str__(self) -> str:
        return f"{self.kind} {self.entry_id} of {self.user_id} ({self.increment:+d}, version {self.version})"


@dataclasses.dataclass(frozen=True)
class Truth:
    """Both tables at one moment. `ledger` is by player, in the order of versions."""

    players: dict[str, Player]
    ledger: dict[str, list[Entry]]

    @property
    def rows(self) -> Rows:
        return top(self.players.values())


def top(players: Iterable[Player]) -> Rows:
    """The Top 10: by score, then by the earlier time, then by the greater user id."""
    visible = [p for p in players if p.state == "active" and p.score > 0]
    best = sorted(visible, key=lambda p: (p.score, -p.reached_at, p.user_id.encode()), reverse=True)
    return tuple((p.user_id, p.name, p.score) for p in best[:BOARD_SIZE])


class Tables:
    """Reads the tables at `url`, past every proxy. Methods raise Away."""

    def __init__(self, url: str) -> None:
        self._client: Any = botocore.session.get_session().create_client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(connect_timeout=1, read_timeout=5, retries={"max_attempts": 0}),
        )

    def read(self) -> Truth:
        """Everything, once no player's version moves while it is being read."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                before = self._players()
                ledger: dict[str, list[Entry]] = {}
                for item in self._scan("ScoreLedger"):
                    ledger.setdefault(item["userId"], []).append(_entry(item))
                players = self._players()
            except Away:  # an emulator that has only just started
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
                continue
            if players == before:
                for entries in ledger.values():
                    entries.sort(key=lambda entry: entry.version)
                return Truth(players, ledger)
            if time.monotonic() > deadline:
                raise Away("the tables are being written all the time")

    def rows(self) -> Rows:
        """The Top 10 while others write: each player as of some moment during the call."""
        return top(self._players().values())

    def player(self, user_id: str) -> Player | None:
        """One player, read consistently."""
        key = {"userId": {"S": user_id}, "board": {"S": "SCOREBOARD"}}
        with _away():
            found = self._client.get_item(TableName="UserScores", Key=key, ConsistentRead=True)
        return _player(_plain(found["Item"])) if "Item" in found else None

    def generation(self) -> str:
        key = {"userId": {"S": "#table"}, "board": {"S": "SCOREBOARD"}}
        with _away():
            found = self._client.get_item(TableName="UserScores", Key=key, ConsistentRead=True)
        return str(_plain(found["Item"])["generation"])

    def _players(self) -> dict[str, Player]:
        return {i["userId"]: _player(i) for i in self._scan("UserScores") if "version" in i}

    def _scan(self, table: str) -> Iterator[dict[str, Any]]:
        with _away():
            for page in self._client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
                yield from map(_plain, page["Items"])

    # --- For planting errors that a checker must find

    def put(self, table: str, item: dict[str, str | int]) -> None:
        values = {k: {"N": str(v)} if isinstance(v, int) else {"S": v} for k, v in item.items()}
        self._client.put_item(TableName=table, Item=values)

    def items(self, table: str) -> list[dict[str, Any]]:
        return list(self._scan(table))

    def delete(self, table: str, **key: str) -> None:
        self._client.delete_item(TableName=table, Key={k: {"S": v} for k, v in key.items()})


class RankingKeys:
    """Looks at the ranking in Redis, past every proxy. Methods raise Away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.client = redis.Redis.from_url(url, socket_timeout=2, decode_responses=True)

    def rows(self, generation: str) -> Rows:
        prefix = f"scoreboard:{{SCOREBOARD:{generation}}}:"
        with _away():
            members: Any = self.client.zrevrange(prefix + "ranking", 0, BOARD_SIZE - 1, withscores=True)
            ids = [member.partition("#")[2] for member, _ in members]
            records: Any = self.client.hmget(prefix + "players", ids) if ids else []
        names = [record.split("|", 4)[4] or None if record else None for record in records]
        return tuple((u, n, int(s)) for u, n, (_, s) in zip(ids, names, members, strict=True))

    def version(self, generation: str, user_id: str) -> int:
        """The version in which a player has been merged; 0: not at all."""
        with _away():
            record: Any = self.client.hget(f"scoreboard:{{SCOREBOARD:{generation}}}:players", user_id)
        return int(record.split("|", 1)[0]) if record else 0

    def key_count(self) -> int:
        """Keys of ours, without those of rate limits, which end by themselves."""
        with _away():
            return sum(":limit:" not in key for key in self.client.scan_iter("*"))


@contextlib.contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, redis.RedisError) as error:
        raise Away(type(error).__name__) from error


def _plain(item: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {name: int(value["N"]) if "N" in value else value.get("S") for name, value in item.items()}


def _player(item: dict[str, Any]) -> Player:
    return Player(
        item["userId"], item["score"], item["version"], item["reachedAt"], item.get("name"), item["state"]
    )


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(
        item["userId"],
        item["entryId"],
        item["kind"],
        item["increment"],
        item["newScore"],
        item["version"],
    )

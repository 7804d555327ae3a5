"""A board with many players: a ranking that holds all of them, and a table with those that a run touches.

The table of the emulator takes about a thousand items a second, so a million would take a quarter of an
hour; DynamoDB finds an item by its key whatever the size of the table. So the table gets the top of the
ranking, which the reconciler looks at, and a sample of all ranks, whom the writers raise.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from tools.devstack.processes.part import Part
from tools.devstack.processes.stores import start_valkey
from tools.research.rivals.contenders import environment

TOP, SAMPLE, WITH_TOKENS = 300, 700, 50
_numbers = itertools.count()


@dataclass
class World:
    """`stored`: players in the table, the leader first. `with_tokens`: some of them, with own tokens."""

    env: dict[str, str]
    token: str
    valkey: Part
    stored: list[str]
    with_tokens: list[str]
    tokens: dict[str, str]


@contextlib.contextmanager
def made_world(count: int, dynamodb: Part, data: Path) -> Iterator[World]:
    """A world of `count` players, with a Valkey and tables of its own, ready for a server."""
    valkey = start_valkey(None)
    try:
        prefix = f"World{next(_numbers)}"
        folder = data / prefix
        os.environ |= {"SCOREBOARD_TABLE_PREFIX": prefix, "DATA_DIR": str(data)}
        env = environment(folder, dynamodb.url, valkey.url)
        env["DATA_DIR"] = os.environ["DATA_DIR"]  # one issuer for all worlds
        yield _fill(count, env, valkey, prefix)
    finally:
        valkey.stop()


def _fill(count: int, env: dict[str, str], valkey: Part, prefix: str) -> World:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
    django.setup()
    from scores.identity import local_issuer
    from scores.identity.verifier import WRITE_SCOPE
    from scores.rules.boards import DEFAULT_BOARD
    from scores.rules.players import in_order
    from scores.stores.cache import Cache
    from scores.stores.ranking import Ranking
    from tools.benchmarks.ranks import BATCH, made_up

    everybody = in_order(made_up(count))
    chosen = everybody[:TOP] + random.Random(1).sample(everybody[TOP:], min(SAMPLE, max(0, count - TOP)))
    generation = _store(env["DYNAMODB_ENDPOINT_URL"], f"{prefix}UserScores", chosen, everybody)
    cache = Cache(valkey.url)
    board = Ranking(cache, DEFAULT_BOARD, generation)
    epoch = board.epoch()
    rest = iter(everybody)
    while batch := list(itertools.islice(rest, BATCH)):
        board.merge(batch)
    board.mark(epoch, full=True)
    cache.close()
    stored = [player.user_id for player in chosen]
    some = stored[:: max(1, len(stored) // WITH_TOKENS)]
    tokens = {user_id: local_issuer.mint(user_id) for user_id in some}
    return World(env, local_issuer.mint("bench", WRITE_SCOPE), valkey, stored, some, tokens)


def _store(url: str, table: str, chosen: list[Any], everybody: list[Any]) -> str:
    """Write the chosen players as PlayerTable.commit would, and the floor; the table's generation."""
    import botocore.session

    from scores.rules.boards import DEFAULT_BOARD
    from scores.stores.tables import SCHEMA
    from scores.upkeep.rebuild import FLOOR_RANK

    client = botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    floor = everybody[FLOOR_RANK - 1].score if len(everybody) >= FLOOR_RANK else 0
    players = iter(chosen)
    while batch := list(itertools.islice(players, 25)):
        requests = []
        for player in batch:
            item = {"userId": {"S": player.user_id}, "board": {"S": DEFAULT_BOARD}, "state": {"S": "active"}}
            item |= {
                name: {"N": str(value)}
                for name, value in {
                    "score": player.score,
                    "version": player.version,
                    "reachedAt": player.reached_at,
                    "schema": SCHEMA,
                }.items()
            }
            item |= {"rankKey": {"S": player.rank_key}}
            if player.name:
                item["name"] = {"S": player.name}
            if player.contends(floor):
                item["contender"] = {"S": DEFAULT_BOARD}
            requests.append({"PutRequest": {"Item": item}})
        client.batch_write_item(RequestItems={table: requests})
    key = {"userId": {"S": "#table"}, "board": {"S": DEFAULT_BOARD}}
    client.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET floor = :floor",
        ExpressionAttributeValues={":floor": {"N": str(floor)}},
    )
    generation: str = client.get_item(TableName=table, Key=key)["Item"]["generation"]["S"]
    return generation

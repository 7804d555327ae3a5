"""Creating the tables, and the clients that speak to them."""

from __future__ import annotations

import functools

from scores.stores import dynamodb, ledger
from scores.stores.players import PlayerTable
from scores.stores.tables import Erasure, LedgerEntry, TableState, UserScore


def create_tables(players: PlayerTable) -> list[str]:
    """Create what is missing: tables, indexes, TTL, generation. Returns what was done, in words.

    Patient with a store that has only just started. Raises Unavailable.
    """
    done = []
    for model in (UserScore, LedgerEntry):
        if not dynamodb.patiently(model.exists):
            dynamodb.patiently(functools.partial(model.create_table, wait=True))
            done.append(f"created table {model.Meta.table_name}")
    table = LedgerEntry.Meta.table_name
    status = dynamodb.patiently(lambda: dynamodb.connection().client.describe_time_to_live(TableName=table))
    if status["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED":
        dynamodb.patiently(lambda: dynamodb.connection().update_time_to_live(table, "expiresAt"))
        done.append(f"switched on TTL of {table}")
    if dynamodb.patiently(players.begin_first_generation):
        done.append("wrote a new generation")
    return done


def make_clients() -> None:
    """Make all clients now. Calls no table; on AWS it fetches credentials, and raises what botocore raises.

    PynamoDB makes each client when it is first needed, without a lock: a rush of first requests would make
    one in every thread, of 10 MB and a quarter of a second each.
    """
    tables = [model._get_connection().connection for model in (UserScore, LedgerEntry, TableState, Erasure)]
    for connection in (*tables, dynamodb.connection()):
        _ = connection.client


def see_tables(players: PlayerTable) -> None:
    """Raises Unavailable when the tables cannot be read."""
    players.read_state()
    ledger.read_entry("nobody", "nothing")

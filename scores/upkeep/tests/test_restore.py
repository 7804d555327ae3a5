"""The drill of docs/operations.md from its second step on: restored tables, and a cache that knows more."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from scores.board import reading
from scores.board.tests.test_adding import moderate
from scores.rules.actions import Action
from scores.rules.errors import Unavailable
from scores.stores import dynamodb, tables
from scores.upkeep import reconcile, verify
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")

TABLES = (tables.UserScore, tables.LedgerEntry)


def backup():
    """Every item of both tables, as DynamoDB has them."""
    client = dynamodb.connection().client
    return {m.Meta.table_name: client.scan(TableName=m.Meta.table_name)["Items"] for m in TABLES}


def restore(items):
    """The tables as they were, with their indexes and without their TTL, as a recovery makes them."""
    client = dynamodb.connection().client
    for model in TABLES:
        model.delete_table()
        model.create_table(wait=True)
        for item in items[model.Meta.table_name]:
            client.put_item(TableName=model.Meta.table_name, Item=item)


def reconcile_now():
    stage.scoreboard().cache.client.delete(stage.scoreboard().ranking()._key("lock:reconcile"))
    return reconcile.reconcile_ranking(stage.scoreboard())


def test_a_restored_table_is_not_outvoted_by_the_cache_that_survived_it():
    reconcile.reconcile_ranking(stage.scoreboard())
    for number in range(12):
        stage.add(f"u{number:02}", 10 + number)
    kept = backup()
    stage.add("u03", 500)
    moderate("u11", Action.BAN)
    reconcile_now()
    assert stage.board().rows[0].user_id == "u03"

    restore(kept)
    reconcile_now()
    assert stage.board().rows != stage.true_rows(), "without a new generation the newer version counts"

    before = stage.scoreboard().players.read_state().generation
    out = StringIO()
    call_command("create_tables", "--restored", stdout=out)
    assert "switched on TTL of ScoreLedger" in out.getvalue() and "a new generation" in out.getvalue()
    assert stage.scoreboard().players.read_state().generation != before
    reconcile_now()
    reconcile_now()
    assert reading.get_board(stage.scoreboard()).rows == stage.true_rows()
    assert [row.user_id for row in stage.true_rows()][:2] == ["u11", "u10"]

    # Life goes on from there: versions and ledger follow the restored ones.
    assert stage.add("u03", 1) == 14
    assert verify.verify_ledger(stage.scoreboard()) == (12, [])
    assert reading.get_board(stage.scoreboard()).rows == stage.true_rows()


def test_without_tables_there_is_no_generation_to_begin():
    for model in TABLES:
        model.delete_table()
    with pytest.raises(Unavailable, match="create_tables"):
        stage.scoreboard().players.begin_generation(stage.scoreboard().now_ms())

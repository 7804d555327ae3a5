"""From the ledger's stream to `ScoreChanged`: real records through the pipe's own filter and template."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import jsonschema
import pytest
from django.conf import settings

from deploy.tests.assembly import Assembly
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.stores import tables
from tools.testing import stage


def client(service: str) -> Any:
    return botocore.session.get_session().create_client(
        service,
        endpoint_url=settings.DYNAMODB_ENDPOINT_URL,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


@pytest.fixture
def stream(stores: None, prod: Assembly) -> Iterator[Any]:
    """A call that answers with all records of the ledger's stream, switched on as the template has it."""
    wanted = prod.one("AWS::DynamoDB::Table", TableName="scoreboard-prod-ScoreLedger")["StreamSpecification"]
    ledger = tables.LedgerEntry.Meta.table_name
    on = {"StreamEnabled": True, **wanted}
    made = client("dynamodb").update_table(TableName=ledger, StreamSpecification=on)
    arn = made["TableDescription"]["LatestStreamArn"]
    streams = client("dynamodbstreams")

    def read() -> list[dict[str, Any]]:
        found = []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            place = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            found += streams.get_records(ShardIterator=place)["Records"]
        return found

    yield read


def passes(pattern: Any, value: Any) -> bool:
    """EventBridge's matching, as far as the pipe's filter uses it."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            passes(each, value.get(name)) for name, each in pattern.items()
        )
    return value is not None and any(
        value not in each["anything-but"] if isinstance(each, dict) else value == each for each in pattern
    )


def rendered(template: str, record: dict[str, Any]) -> dict[str, Any]:
    """The pipe's input template with the record's values in the places of its paths."""

    def at(found: re.Match[str]) -> str:
        value: Any = record
        for name in found[1].split("."):
            value = value[name]
        return str(value)

    return dict(json.loads(re.sub(r"<\$\.([\w.]+)>", at, template)))


def test_every_change_of_a_score_becomes_an_event_of_the_documented_schema(stream, prod):
    stage.add("ann", 40, "first")
    stage.add("ann", 2, "second")
    moderating.moderate(
        stage.scoreboard(),
        user_id="ann",
        action=Action.ADJUST,
        actor="moderator",
        reason="a bug",
        amount=-12,
        expected_version=2,
        entry_id="MOD#1",
    )
    moderating.moderate(
        stage.scoreboard(),
        user_id="ann",
        action=Action.HIDE,
        actor="moderator",
        reason="a bug",
        expected_version=3,
        entry_id="MOD#2",
    )
    client("dynamodb").update_item(  # as the sweep after an erasure does
        TableName=tables.LedgerEntry.Meta.table_name,
        Key={"userId": {"S": "ann"}, "entryId": {"S": "MOD#1"}},
        UpdateExpression="REMOVE reason",
    )
    deadline = time.monotonic() + 10
    while len(records := stream()) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    (pipe,) = prod.all("AWS::Pipes::Pipe")
    (pattern,) = pipe["SourceParameters"]["FilterCriteria"]["Filters"]
    events = [
        rendered(pipe["TargetParameters"]["InputTemplate"], record)
        for record in records
        if passes(json.loads(pattern["Pattern"]), record)
    ]
    assert [(each["version"], each["increment"], each["newScore"]) for each in events] == [
        ("1", "40", "40"),
        ("2", "2", "42"),
        ("3", "-12", "30"),
    ]
    schema = json.loads(prod.one("AWS::EventSchemas::Schema")["Content"])
    for event in events:
        jsonschema.Draft4Validator(schema).validate(event)
        assert abs(int(event["at"]) - stage.scoreboard().now_ms()) < 60_000
        assert "first" not in json.dumps(event) and "moderator" not in json.dumps(event)


def test_the_pipe_repeats_splits_and_tells_in_time_what_it_cannot_deliver(prod):
    (pipe,) = prod.all("AWS::Pipes::Pipe")
    source = pipe["SourceParameters"]["DynamoDBStreamParameters"]
    assert source["OnPartialBatchItemFailure"] == "AUTOMATIC_BISECT"
    assert source["MaximumRetryAttempts"] > 0 and "Arn" in source["DeadLetterConfig"]
    kept_s = 24 * 3600  # by a stream of DynamoDB; the queue is told where a record is, not what it says
    assert source["MaximumRecordAgeInSeconds"] <= kept_s / 2
    target = pipe["TargetParameters"]["EventBridgeEventBusParameters"]
    assert target == {"DetailType": "ScoreChanged", "Source": "scoreboard"}

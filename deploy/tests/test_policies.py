"""What each kind of process may do: at work behind its own policy, and what is forbidden, tried."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session
import httpx
import pytest
from botocore.exceptions import ClientError
from django.conf import settings

from deploy.tests.assembly import ACCOUNT, Assembly
from deploy.tests.guarded import Guard, allows, guarded_dynamodb
from scores.identity import local_issuer
from tools.devstack.processes import children
from tools.testing.processes import ROOT, post, server

ROLES = ("web", "admin", "ranking", "probe", "release")
TABLES = ("UserScores", "ScoreLedger")
#: What none of the roles may do to any table.
NEVER = (
    "BatchWriteItem",
    "CreateBackup",
    "CreateTable",
    "DeleteTable",
    "ExportTableToPointInTime",
    "PartiQLDelete",
    "PartiQLInsert",
    "PartiQLSelect",
    "PartiQLUpdate",
    "RestoreTableToPointInTime",
    "TagResource",
    "UpdateContinuousBackups",
    "UpdateTable",
    "UpdateTimeToLive",
)


def arn(assembly: Assembly, table: str) -> str:
    return f"arn:aws:dynamodb:{assembly.region}:{ACCOUNT}:table/scoreboard-{environment_of(assembly)}-{table}"


def environment_of(assembly: Assembly) -> str:
    return assembly.folder.name


@pytest.mark.parametrize("role", ROLES)
def test_no_process_may_delete_scores_or_administer_a_table(assemblies, role):
    for assembly in assemblies.values():
        statements = assembly.statements(role)
        assert statements
        for table in TABLES:
            for action in (*NEVER, "DeleteItem"):
                for resource in (arn(assembly, table), arn(assembly, table) + "/index/TopScores"):
                    assert not allows(statements, f"dynamodb:{action}", resource), (role, action, table)
        assert not allows(statements, "dynamodb:PutItem", arn(assembly, "UserScores"))
        assert not allows(statements, "dynamodb:Query", arn(assembly, "UserScores"))


def test_only_the_ranking_process_may_scan_and_only_the_scores(assemblies):
    for assembly in assemblies.values():
        may_scan = {
            (role, table)
            for role in ROLES
            for table in TABLES
            if allows(assembly.statements(role), "dynamodb:Scan", arn(assembly, table))
        }
        assert may_scan == {("ranking", "UserScores")}


def test_rights_end_at_the_environment_and_at_the_services_they_are_for(assemblies):
    for assembly in assemblies.values():
        other = {"dev": "prod", "prod": "dev"}[environment_of(assembly)]
        for role in ROLES:
            statements = assembly.statements(role)
            foreign = arn(assembly, "UserScores").replace(
                f"scoreboard-{environment_of(assembly)}", f"scoreboard-{other}"
            )
            assert not allows(statements, "dynamodb:GetItem", foreign)
            for action in (
                "iam:PassRole",
                "secretsmanager:GetSecretValue",
                "s3:DeleteObject",
                "ecs:RunTask",
                "sts:AssumeRole",
            ):
                assert not allows(statements, action, "arn:aws:anything"), (role, action)
            services = {name.split(":")[0] for each in statements for name in _listed(each["Action"])}
            assert services <= {"dynamodb", "xray", "s3"}


def test_every_wildcard_in_a_role_of_the_application_is_for_x_ray(assemblies):
    for assembly in assemblies.values():
        for role in ROLES:
            for statement in assembly.statements(role):
                assert not any("*" in action for action in _listed(statement["Action"]))
                if "*" in _listed(statement["Resource"]):
                    actions = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
                    assert set(_listed(statement["Action"])) == actions


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# --- The application at work behind its policies ------------------------------------------------------


def client(url: str) -> Any:
    return botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


@pytest.fixture(scope="module")
def tables(running_stores, dev):
    """The tables of the templates, in DynamoDB Local; gone afterwards."""
    dynamodb = client(settings.DYNAMODB_ENDPOINT_URL)
    made = []
    for table in dev.all("AWS::DynamoDB::Table"):
        wanted = {
            name: table[name]
            for name in (
                "TableName",
                "KeySchema",
                "AttributeDefinitions",
                "BillingMode",
                "GlobalSecondaryIndexes",
            )
            if name in table
        }
        dynamodb.create_table(**wanted)
        ttl = table.get("TimeToLiveSpecification")
        if ttl:
            dynamodb.update_time_to_live(TableName=table["TableName"], TimeToLiveSpecification=ttl)
        made.append(table["TableName"])
    yield dynamodb
    for name in made:
        dynamodb.delete_table(TableName=name)


@contextmanager
def allowed(assembly: Assembly, role: str) -> Iterator[Guard]:
    with guarded_dynamodb(
        str(settings.DYNAMODB_ENDPOINT_URL), assembly.statements(role), assembly.region
    ) as guard:
        yield guard


def environment(guard: Guard, **more: str) -> dict[str, str]:
    return {
        "DYNAMODB_ENDPOINT_URL": guard.url,
        "SCOREBOARD_TABLE_PREFIX": "scoreboard-dev-",
        "AWS_REGION": "eu-central-1",
        **more,
    }


def manage(*command: str, env: dict[str, str]) -> str:

    code, output = children.run(
        [str(ROOT / ".venv/bin/python"), "manage.py", *command], cwd=ROOT, env={**os.environ, **env}
    )
    assert code == 0, output
    return output


def test_every_kind_of_process_does_its_work_with_its_rights_and_needs_each_of_them(dev, tables):
    with allowed(dev, "release") as guard:
        assert "wrote a new generation" in manage("create_tables", env=environment(guard))
        assert "nothing to do" in manage("create_tables", env=environment(guard))
        assert not guard.refused and used(guard) == granted(dev, "release")
    token = local_issuer.mint("ann")
    with allowed(dev, "ranking") as guard:
        manage("rebuild_ranking", "--full", env=environment(guard))
        assert not guard.refused and "dynamodb:Scan" in used(guard)
    with allowed(dev, "admin") as guard, served(guard) as part:
        assert [post(part, token, player, 5, "k").status_code for player in ("ann",)] == [200]
        manage("moderate", "hide", "ann", "--reason", "a look at the account", env=environment(guard))
        manage("moderate", "unhide", "ann", "--reason", "all is well", env=environment(guard))
        manage("moderate", "erase", "ann", "--reason", "asked for it", "--yes", env=environment(guard))
        assert not guard.refused and "dynamodb:PutItem" in used(guard)
    with allowed(dev, "web") as guard, served(guard) as part:
        assert [post(part, token, "ann", 5, key).status_code for key in ("k1", "k1", "k2")] == [200] * 3
        assert post(part, token, "ann", 6, "k1").status_code == 422
        headers = {"Authorization": f"Bearer {token}"}
        name = httpx.put(f"{part.url}/score/me/name", json={"name": "Ann"}, headers=headers)
        assert name.status_code == 200, name.text
        me = httpx.get(f"{part.url}/score/me", headers=headers).json()
        assert (me["score"], me["rank"]) == (10, 1)
        assert httpx.get(f"{part.url}/score/top10").json()[0]["score"] == 10
        assert post(part, local_issuer.mint("bob"), "bob", 5, "k").status_code == 200
        leave_a_sweep_to_do(tables, "bob")
        deadline = time.monotonic() + 20
        while unused := granted(dev, "web") - used(guard):
            assert time.monotonic() < deadline, f"rights that the web process does not use: {unused}"
            time.sleep(0.1)
        assert not guard.refused
        with allowed(dev, "probe") as probe:
            socket = f"{part.url.replace('http', 'ws')}/ws/scoreboard"
            manage("probe_board", "--once", "--url", socket, env=environment(probe))
            assert not probe.refused and used(probe) == granted(dev, "probe")


def served(guard):
    """A web process that has the guard's rights."""
    return server(**environment(guard, SCOREBOARD_MAY_SCAN="false"))


def used(guard: Guard) -> set[str]:
    return {action for action, _ in guard.used}


def leave_a_sweep_to_do(tables: Any, user_id: str) -> None:
    """What is left when a process dies that has erased a player: a moderation on record, and the mark."""
    env = {
        "DYNAMODB_ENDPOINT_URL": str(settings.DYNAMODB_ENDPOINT_URL),
        "SCOREBOARD_TABLE_PREFIX": "scoreboard-dev-",
        "AWS_REGION": "eu-central-1",
    }
    manage("moderate", "adjust", user_id, "--amount", "3", "--reason", "a gift", env=env)
    mark = {"userId": {"S": "#erasures"}, "board": {"S": user_id}, "upTo": {"N": "9"}}
    tables.put_item(TableName="scoreboard-dev-UserScores", Item=mark)


def granted(assembly: Assembly, role: str) -> set[str]:
    return {
        action
        for statement in assembly.statements(role)
        for action in _listed(statement["Action"])
        if action.startswith("dynamodb:")
    }


def test_what_the_web_process_must_not_do_is_refused(dev, tables):
    scores, ledger = (f"scoreboard-dev-{name}" for name in TABLES)
    key = {"userId": {"S": "ann"}, "board": {"S": "SCOREBOARD"}}
    with allowed(dev, "web") as guard:
        dynamodb = client(guard.url)
        forbidden = (
            lambda: dynamodb.scan(TableName=scores),
            lambda: dynamodb.scan(TableName=scores, IndexName="TopScores"),
            lambda: dynamodb.scan(TableName=ledger),
            lambda: dynamodb.put_item(TableName=scores, Item=key),
            lambda: dynamodb.delete_item(TableName=scores, Key=key),
            lambda: dynamodb.transact_write_items(
                TransactItems=[{"Delete": {"TableName": scores, "Key": key}}]
            ),
            lambda: dynamodb.batch_write_item(RequestItems={scores: [{"DeleteRequest": {"Key": key}}]}),
            lambda: dynamodb.delete_table(TableName=scores),
            lambda: dynamodb.update_table(TableName=scores, BillingMode="PAY_PER_REQUEST"),
            lambda: dynamodb.update_time_to_live(
                TableName=ledger, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expiresAt"}
            ),
        )
        for call in forbidden:
            with pytest.raises(ClientError, match="AccessDenied"):
                call()
        assert dynamodb.get_item(TableName=scores, Key=key)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert len(guard.refused) == 9  # some are tried in two ways

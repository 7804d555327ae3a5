"""A deployment to the emulator of all that it knows, and the application at work on what that made."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.tests.assembly import Assembly
from deploy.tests.conftest import Emulator
from tools.testing.processes import server

#: In this order: each refers to outputs of those before it.
STACKS = ("ScoreboardDevData", "ScoreboardDevEdge", "ScoreboardDevWeb")
#: Of these kinds the emulator knows nothing, or has nothing to run them on: containers, functions, servers,
#: the hosted zone that is there before us.
NOT_THERE = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::EventSchemas::Registry",
    "AWS::EventSchemas::Schema",
    "AWS::Lambda::Function",
    "AWS::RDS::DBInstance",
    "AWS::Route53::RecordSet",
    "AWS::WAFv2::LoggingConfiguration",
    "Custom::AWS",
    "Custom::DescribeCognitoUserPoolClient",
    "Custom::ScoreboardRelease",
}
#: Alarms on a sum or a quotient of metrics: the emulator has no metric math.
COMPUTED = "Metrics"
TEMPLATES = "templates"

Made = dict[str, list[str]]


def references(value: Any) -> Iterator[str]:
    """Logical ids, and `stack/output` of other stacks, that a piece of template refers to."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        if "Ref" in value:
            yield str(value["Ref"])
        elif "Fn::GetAtt" in value:
            yield str(value["Fn::GetAtt"][0])
        elif "Fn::GetStackOutput" in value:
            argument = value["Fn::GetStackOutput"]
            yield f"{argument['StackName']}/{argument['OutputName']}"
        else:
            yield from references(list(value.values()))


def known_part(template: dict[str, Any], outputs: set[str]) -> dict[str, Any]:
    """A stack without what is not there, and without what refers to that; `outputs` are of other stacks."""
    kept = {
        name: each
        for name, each in template["Resources"].items()
        if each["Type"] not in NOT_THERE and COMPUTED not in each.get("Properties", {})
    }

    def whole(value: Any) -> bool:
        return all(each.startswith("AWS::") or each in kept or each in outputs for each in references(value))

    while broken := [name for name, each in kept.items() if not whole(each.get("Properties", {}))]:
        for name in broken:
            del kept[name]
    return {
        "Resources": {name: {**each, "DependsOn": []} for name, each in kept.items()},
        "Outputs": {name: each for name, each in template.get("Outputs", {}).items() if whole(each["Value"])},
    }


@pytest.fixture(scope="module")
def known(dev: Assembly) -> dict[str, dict[str, Any]]:
    """What is deployed, by stack."""
    parts: dict[str, dict[str, Any]] = {}
    for stack in STACKS:
        outputs = {f"{other}/{name}" for other, part in parts.items() for name in part["Outputs"]}
        parts[stack] = known_part(dev.stacks[stack], outputs)
    return parts


@pytest.fixture(scope="module")
def deployed(emulator: Emulator, known: dict[str, dict[str, Any]]) -> Made:
    """Physical ids of what the emulator made of the stacks, by type."""
    s3, cloudformation = emulator.client("s3"), emulator.client("cloudformation")
    s3.create_bucket(Bucket=TEMPLATES, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    made: Made = {}
    for stack, template in known.items():
        s3.put_object(Bucket=TEMPLATES, Key=stack, Body=json.dumps(template).encode())
        cloudformation.create_stack(
            StackName=stack,
            TemplateURL=f"{emulator.part.url}/{TEMPLATES}/{stack}",
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        wait_until_made(cloudformation, stack)
        for each in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
            made.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
    return made


def wait_until_made(cloudformation: Any, stack: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        if found["StackStatus"] == "CREATE_COMPLETE":
            return
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        said = [
            (each["ResourceType"], each["ResourceStatus"], each["ResourceStatusReason"])
            for each in events
            if each.get("ResourceStatusReason")
        ]
        assert found["StackStatus"] == "CREATE_IN_PROGRESS", (found.get("StackStatusReason"), said)
        assert time.monotonic() < deadline, f"{stack} is not made after 60 s"
        time.sleep(0.2)


def test_the_emulator_makes_all_that_it_knows_of_all_stacks(dev: Assembly, known, deployed):
    wanted = Counter(each["Type"] for part in known.values() for each in part["Resources"].values())
    assert {kind: len(ids) for kind, ids in deployed.items()} == wanted
    whole = sum(len(dev.stacks[stack]["Resources"]) for stack in STACKS)
    assert wanted.total() > 0.65 * whole, f"{wanted.total()} of {whole}"
    unused = NOT_THERE - {
        each["Type"] for stack in STACKS for each in dev.stacks[stack]["Resources"].values()
    }
    assert not unused


def test_what_it_made_is_as_the_templates_have_it(emulator, dev, deployed):
    dynamodb = emulator.client("dynamodb")
    (ledger,) = (name for name in deployed["AWS::DynamoDB::Table"] if name.endswith("ScoreLedger"))
    table = dynamodb.describe_table(TableName=ledger)["Table"]
    assert table["StreamSpecification"]["StreamEnabled"]
    alarms = emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
    filters = emulator.client("logs").describe_metric_filters()["metricFilters"]
    counted = {each["metricTransformations"][0]["metricName"] for each in filters}
    assert counted == {
        each["MetricTransformations"][0]["MetricName"] for each in dev.all("AWS::Logs::MetricFilter")
    }
    assert {each["AlarmName"] for each in alarms} <= {
        each["AlarmName"] for each in dev.all("AWS::CloudWatch::Alarm")
    }
    assert len(alarms) == len(deployed["AWS::CloudWatch::Alarm"]) >= 15
    assert all(each["AlarmActions"] for each in alarms)


def test_the_application_works_on_the_tables_and_the_pool_of_the_stack(emulator, deployed, running_stores):
    (pool,) = deployed["AWS::Cognito::UserPool"]
    cognito = emulator.client("cognito-idp")
    clients = {
        each["ClientName"]: cognito.describe_user_pool_client(UserPoolId=pool, ClientId=each["ClientId"])[
            "UserPoolClient"
        ]
        for each in cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=10)["UserPoolClients"]
    }
    machine = clients["site-server"]
    form = {
        "grant_type": "client_credentials",
        "client_id": machine["ClientId"],
        "client_secret": machine["ClientSecret"],
        "scope": "scoreboard/score.write",
    }
    token = httpx.post(f"{emulator.part.url}/oauth2/token", data=form).json()["access_token"]
    environment = {
        "DYNAMODB_ENDPOINT_URL": emulator.part.url,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SCOREBOARD_TABLE_PREFIX": "scoreboard-dev-",
        "COGNITO_USER_POOL": pool,
        "COGNITO_AWS_REGION": "eu-central-1",
        "COGNITO_CLIENT_IDS": ",".join(each["ClientId"] for each in clients.values()),
        "COGNITO_KEYSET_URL": f"{emulator.part.url}/{pool}/.well-known/jwks.json",
    }
    emulator.manage("create_tables", environment)
    with server(**environment) as part:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "level-7"}
        for _ in range(2):
            answer = httpx.post(
                f"{part.url}/score/update",
                headers=headers,
                json={"userId": "ann", "increment": 10},
                timeout=10,
            )
            assert (answer.status_code, answer.json()) == (200, {"status": "success", "newScore": 10}), (
                answer.text
            )
        rows = httpx.get(f"{part.url}/score/top10").json()
        assert [(row["userId"], row["score"]) for row in rows] == [("ann", 10)]
    assert "clients" not in clients and clients["web"].get("ClientSecret") is None

"""A deployment to the emulator of what it knows, and the application at work on what that made.

Deployed from the data stack: tables, user pool with its clients and domain, secrets, bus and queue. The
network, the cache, the database, load balancers and containers are not: the emulator has none to run on.
"""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from deploy.tests.assembly import Assembly
from deploy.tests.conftest import Emulator
from scoreboard_site.tests.processes import server

KINDS = (
    "AWS::DynamoDB::Table",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolGroup",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::Events::EventBus",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
)


def references(value: Any) -> set[str]:
    """Logical ids that a piece of template refers to."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    if "Ref" in value:
        return {str(value["Ref"])}
    if "Fn::GetAtt" in value:
        return {str(value["Fn::GetAtt"][0])}
    return references(list(value.values()))


def known_part(template: dict[str, Any]) -> dict[str, Any]:
    """The resources of these kinds, without those that need one of another kind."""
    kept = {name: each for name, each in template["Resources"].items() if each["Type"] in KINDS}
    while True:
        broken = {
            name
            for name, each in kept.items()
            if {one for one in references(each["Properties"]) if not one.startswith("AWS::")} - kept.keys()
        }
        if not broken:
            break
        kept = {name: each for name, each in kept.items() if name not in broken}
    return {"Resources": {name: {**each, "DependsOn": []} for name, each in kept.items()}}


@pytest.fixture(scope="module")
def deployed(emulator: Emulator, dev: Assembly) -> dict[str, list[str]]:
    """Physical ids of what the emulator made of the data stack, by type."""
    template = known_part(dev.stacks["ScoreboardDevData"])
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName="ScoreboardDevData", TemplateBody=json.dumps(template))
    deadline = time.monotonic() + 60
    while True:
        (stack,) = cloudformation.describe_stacks(StackName="ScoreboardDevData")["Stacks"]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            break
        assert time.monotonic() < deadline and "FAILED" not in stack["StackStatus"], stack
        time.sleep(0.2)
    made: dict[str, list[str]] = {}
    for each in cloudformation.describe_stack_resources(StackName="ScoreboardDevData")["StackResources"]:
        made.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
    return made


def test_the_emulator_makes_tables_pool_clients_secrets_bus_and_queue(deployed):
    assert {kind: len(ids) for kind, ids in deployed.items()}.items() >= {
        "AWS::DynamoDB::Table": 2,
        "AWS::Cognito::UserPool": 1,
        "AWS::Cognito::UserPoolClient": 2,
        "AWS::Cognito::UserPoolGroup": 1,
        "AWS::Events::EventBus": 1,
        "AWS::SQS::Queue": 1,
    }.items()
    assert len(deployed["AWS::SecretsManager::Secret"]) >= 5


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

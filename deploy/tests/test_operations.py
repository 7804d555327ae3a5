"""The commands of docs/operations.md, run by bash against an `aws` that keeps secrets and notes the rest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.testing.processes import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
#: Answers as the AWS CLI does, as far as the page uses it.
AWS = f"""#!{sys.executable}
import json, os, pathlib, re, sys
folder, words = pathlib.Path(os.environ["FOLDER"]), sys.argv[1:]
given = sys.stdin.read() if "file:///dev/stdin" in words else ""
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([words, given]) + "\\n")
after = lambda option: words[words.index(option) + 1]
if words[1] == "get-secret-value":
    print((folder / after("--secret-id").replace("/", "_")).read_text())
elif words[1] == "put-secret-value":
    (folder / after("--secret-id").replace("/", "_")).write_text(given)
elif words[1] == "list-stack-resources":
    print(after("--stack-name") + "/" + re.search("'(.+)'", after("--query"))[1])
elif words[1] == "get-distribution-config":
    print("V1" if after("--query") == "ETag" else json.dumps({{"HeaderValue": "old-origin"}}))
elif words[1] == "describe-identity-provider":
    print(json.dumps({{"client_id": "scoreboard", "client_secret": "old"}}))
"""
PYTHON = """#!/bin/bash
echo "$SCOREBOARD_TABLE_PREFIX $AWS_REGION [$DYNAMODB_ENDPOINT_URL] $*" >> "$FOLDER/commands"
"""


def blocks(heading: str) -> list[str]:
    """The commands of a section, in their order."""
    section = PAGE[PAGE.index(f"\n## {heading}\n") :].split("\n## ", 2)[1]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


class Shell:
    """Where the commands run: its secrets, and what was asked of `aws`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = {"aws": AWS, "sleep": "#!/bin/sh\n", ".venv/bin/python": PYTHON}
        for name, text in programs.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)

    def run(self, script: str, **environment: str) -> list[tuple[list[str], str]]:
        """Run it; (words, standard input) of each call of `aws`."""
        env = {"PATH": f"{self.folder}:{os.environ['PATH']}", "FOLDER": str(self.folder), **environment}
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, env=env, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        calls = (self.folder / "calls").read_text().splitlines()
        return [(words, given) for words, given in map(json.loads, calls)]

    def secret(self, name: str) -> Path:
        return self.folder / f"scoreboard_prod_{name}"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_every_secret_is_changed_where_it_counts_and_in_each_that_holds_it(shell, prod):
    before = {
        "valkey": "old-valkey",
        "redis-url": "rediss://:old-valkey@cache.example.com:6379/0",
        "database": '{"username": "scoreboard", "password": "old-database"}',
        "database-url": "postgres://scoreboard:old-database@db.example.com:5432/scoreboard?sslmode=require",
        "origin": "old-origin",
        "ticket-keys": "1:old-key",
        "secret-key": "old-secret-key",
    }
    for name, value in before.items():
        shell.secret(name).write_text(value)
    script = "\n".join(blocks("Keys and secrets"))
    calls = shell.run(script, SENTRY_SECRET="scoreboard/prod/sentry")
    after = {name: shell.secret(name).read_text() for name in (*before, "oidc-secret", "sentry")}
    assert not [name for name, value in after.items() if "old" in value]
    assert after["redis-url"] == f"rediss://:{after['valkey']}@cache.example.com:6379/0"
    database = json.loads(after["database"])
    assert database["username"] == "scoreboard"
    assert after["database-url"] == before["database-url"].replace("old-database", database["password"])
    assert re.fullmatch(r"2026-12:[0-9a-f]{64}", after["ticket-keys"])

    by_verb = {
        verb: [call for call in calls if call[0][1] == verb] for verb in {call[0][1] for call in calls}
    }
    redis = by_verb["modify-replication-group"]
    assert [option(words, "--auth-token-update-strategy") for words, _ in redis] == ["ROTATE", "SET"]
    assert {given for _, given in redis} == {after["valkey"]}
    assert by_verb["modify-db-instance"][0][1] == database["password"]
    accepted = [option(words, "--conditions").partition("Values=")[2] for words, _ in by_verb["modify-rule"]]
    assert accepted == [f"[old-origin,{after['origin']}]}}", f"[{after['origin']}]}}"]
    (distribution,) = by_verb["update-distribution"]
    assert json.loads(distribution[1]) == {"HeaderValue": after["origin"]}
    provider = json.loads(by_verb["update-identity-provider"][0][1])
    assert provider == {"client_id": "scoreboard", "client_secret": after["oidc-secret"]}

    named = {option(words, "--secret-id") for words, _ in calls if "--secret-id" in words}
    made = {each["Name"] for each in prod.all("AWS::SecretsManager::Secret") if "Name" in each}
    assert named - made == {"scoreboard/prod/oidc-secret", "scoreboard/prod/sentry"}
    for words, _ in by_verb["list-stack-resources"]:
        kind = option(words, "--query").split("'")[1]
        assert [stack for stack, _, _ in prod.resources(kind)] == [option(words, "--stack-name")], kind
    check_services(calls, prod)


def check_services(calls, prod) -> None:
    """Clusters and services are those of the template."""
    services = {each["ServiceName"] for each in prod.all("AWS::ECS::Service")}
    used = [words for words, _ in calls if "--cluster" in words]
    assert {option(words, "--cluster") for words in used} == {prod.one("AWS::ECS::Cluster")["ClusterName"]}
    assert {option(words, "--service") for words in used if "--service" in words} == services
    waited = [words[words.index("--services") + 1 :] for words in used if "--services" in words]
    assert waited and all(set(names) <= services for names in waited)


def test_a_restore_stops_every_writer_first_and_begins_a_new_generation(shell, prod):
    calls = shell.run("\n".join(blocks("Backup and restore")))
    verbs = [words[1] for words, _ in calls]
    counts = [
        (option(words, "--service").removeprefix("scoreboard-prod-"), option(words, "--desired-count"))
        for words, _ in calls
        if words[1] == "update-service"
    ]
    assert counts[:3] == [("web", "0"), ("admin", "0"), ("ranking", "0")]
    (target,) = prod.all("AWS::ApplicationAutoScaling::ScalableTarget")
    in_template = {
        each["ServiceName"].removeprefix("scoreboard-prod-"): str(
            each.get("DesiredCount", target["MinCapacity"])
        )
        for each in prod.all("AWS::ECS::Service")
    }
    assert dict(counts[3:]) == in_template
    assert verbs.index("wait") < verbs.index("restore-table-to-point-in-time")
    for words, _ in calls:
        if words[1] == "register-scalable-target":
            assert option(words, "--scalable-dimension") == target["ScalableDimension"]
            assert option(words, "--resource-id") == "service/scoreboard-prod/scoreboard-prod-web"
    tables = {each["TableName"] for each in prod.all("AWS::DynamoDB::Table")}
    assert {
        option(words, "--source-table-name") for words, _ in calls if "--source-table-name" in words
    } == tables
    (scan,) = [words for words, _ in calls if words[1] == "scan"]
    assert json.loads(option(scan, "--expression-attribute-values")) == {":at": {"N": "1795490100000"}}
    assert (shell.folder / "commands").read_text().splitlines() == [
        "R1- eu-central-1 [] manage.py create_tables --restored",
        "R1- eu-central-1 [] manage.py verify_ledger",
    ]
    check_services(calls, prod)

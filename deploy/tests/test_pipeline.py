"""The workflows, the going back, and the tasks of a release."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
import types
from typing import Any

import pytest
import yaml

from tools.devstack import deploying
from tools.testing.processes import ROOT

DEPLOY_PAGE = (ROOT / "docs" / "deploy.md").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_zizmor_finds_nothing_in_the_workflows():
    command = [
        str(deploying.tools() / "zizmor"),
        "--offline",
        "--no-progress",
        "--persona=pedantic",
        ".github",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_actions_are_pinned_and_jobs_have_no_right_that_is_not_named():
    assert len(WORKFLOWS) == 2
    for path in WORKFLOWS:
        text = path.read_text()
        used = re.findall(r"uses: (?!\./)(\S+)(.*)", text)  # but for workflows of our own
        assert used
        for action, comment in used:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) and re.fullmatch(
                r" # v[\d.]+", comment
            )
        assert re.search(r"(?m)^permissions: \{\}$", text)
        assert text.count("persist-credentials: false") == text.count("actions/checkout@")
        assert not re.search(r"secrets\.|aws-secret-access-key|:latest", text)


def workflow(name: str) -> dict[Any, Any]:
    return dict(yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text()))


def test_every_file_that_pins_something_is_kept_up_to_date_by_dependabot():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    kept = {
        (each["package-ecosystem"], folder.strip("/"))
        for each in updates
        for folder in each.get("directories") or [each["directory"]]
    }
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for ecosystem, pattern in (
        ("pip", r"requirements[\w-]*\.txt"),
        ("npm", r"package\.json"),
        ("docker", r"Dockerfile"),
        ("docker-compose", r"compose\.yaml"),
    ):
        wanted = {os.path.dirname(path) for path in re.findall(rf"^(?:.*/)?{pattern}$", files, re.MULTILINE)}
        assert wanted == {folder for name, folder in kept if name == ecosystem}, ecosystem


def test_a_role_that_is_assumed_for_longer_than_an_hour_is_said_to_need_it():
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    for seconds in re.findall(r"role-duration-seconds: (\d+)", text):
        assert int(seconds) <= 3600 or f"--max-session-duration {seconds}" in DEPLOY_PAGE


def test_nothing_is_deployed_before_everything_that_ci_checks_is_well():
    jobs = workflow("deploy.yml")["jobs"]
    assert jobs["ci"]["uses"] == "./.github/workflows/ci.yml"
    triggers = workflow("ci.yml")[True]  # to YAML 1.1 the word `on` is a yes
    assert triggers.keys() == {"pull_request", "workflow_call"}
    deploying_jobs = {name for name, job in jobs.items() if "deploy_or_go_back" in str(job.get("steps"))}
    assert deploying_jobs == {"dev", "prod"}
    for name in deploying_jobs:
        assert "ci" in jobs[name]["needs"] and jobs[name]["if"] == jobs["ci"]["if"]
        assert "always()" not in jobs[name]["if"]
    assert not any("continue-on-error" in job for job in workflow("ci.yml")["jobs"].values())


def given(**variables: str) -> set[str]:
    """What `make deploy` passes on with these variables in its environment."""
    env = {"PATH": os.environ["PATH"], **variables}
    command = ["make", "--dry-run", "deploy"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return set(re.findall(r"--set '(\w+)=", done.stdout))


def test_the_workflow_passes_every_setting_on_and_one_that_is_not_set_is_not_given():
    names = set(re.findall(r'text\("(\w+)"', (deploying.DEPLOY / "settings.py").read_text()))
    names = {name.upper() for name in names}
    assert len(names) == 14
    assert given(**dict.fromkeys(names, "x")) == names
    assert given(**dict.fromkeys(names, "")) == set()
    page = (ROOT / "docs" / "deploy.md").read_text()
    section = page[page.index("## From GitHub") :].split("\n## ")[0]
    for name, job in workflow("deploy.yml")["jobs"].items():
        if name == "ci":
            continue
        variables = {key: value for key, value in job["env"].items() if key != "ENVIRONMENT"}
        assert variables == {key: f"${{{{ vars.{key} }}}}" for key in names - {"ENVIRONMENT"}}
        assert job["env"]["ENVIRONMENT"] in ("dev", "prod")
        assert all(f"`{key}`" in section for key in variables)


# --- deploy_or_go_back: programs in place of make, git and aws write down what they are asked -----------

FAKE = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
    "git rev-parse HEAD") echo new ;;
    "aws ssm get-parameter"*) [ -n "$BEFORE" ] && echo "$BEFORE" ;;
    "make smoke"*) count=$(grep -c "^make smoke" "$CALLS"); [ "$count" -gt "$BAD_SMOKES" ] ;;
    "make deploy"*) [ "$BAD_DEPLOY" = 0 ] ;;
esac
"""


@pytest.fixture
def deploy_or_go_back(tmp_path):
    """Run the script; its exit code and what it called."""
    for name in ("make", "git", "aws"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)

    def run(before: str = "old", bad_smokes: int = 0, bad_deploy: int = 0) -> tuple[int, list[str]]:
        calls = tmp_path / "calls"
        calls.write_text("")
        env = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "BEFORE": before,
            "BAD_SMOKES": str(bad_smokes),
            "BAD_DEPLOY": str(bad_deploy),
            "ENVIRONMENT": "dev",
            "DOMAIN": "board.example.com",
        }
        done = subprocess.run(
            [str(deploying.DEPLOY / "deploy_or_go_back")], env=env, capture_output=True, text=True
        )
        acts = [
            line for line in calls.read_text().splitlines() if re.match("make|git checkout|aws ssm put", line)
        ]
        return done.returncode, acts

    return run


DEPLOY, SMOKE = "make deploy YES=1", "make smoke URL=https://board.example.com"


NPX = """#!/bin/sh
for word in "$@"; do echo "npx: $word"; done
"""


def test_what_was_deployed_is_removed_with_the_same_variables_and_not_without_asking(tmp_path):
    (tmp_path / "npx").write_text(NPX)
    (tmp_path / "npx").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    given = [f"{name.upper()}={value}" for name, value in deploying.EXAMPLE.items()]
    called = {}
    for verb in ("deploy", "diff", "destroy"):
        command = ["make", verb, f"PYTHON={sys.executable}", "YES=1", *given]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        called[verb] = re.findall("^npx: (.*)$", done.stdout, re.MULTILINE)
    assert called["destroy"][1:4] == [deploying.CDK_CLI, "destroy", "--all"]
    assert called["destroy"] == ["destroy" if word == "diff" else word for word in called["diff"]]
    assert "--force" not in called["destroy"] and called["deploy"][-1] == "never"


def test_a_good_deployment_is_remembered(deploy_or_go_back):
    code, acts = deploy_or_go_back()
    assert code == 0
    assert acts[:2] == [DEPLOY, SMOKE] and "--value new" in acts[2]


def test_after_a_failed_smoke_test_the_commit_before_is_deployed_again_and_the_run_fails(deploy_or_go_back):
    code, acts = deploy_or_go_back(bad_smokes=1)
    assert code == 1
    assert acts == [DEPLOY, SMOKE, "git checkout --quiet --detach old", DEPLOY, SMOKE]


def test_without_an_earlier_commit_or_when_the_deployment_fails_nothing_else_is_done(deploy_or_go_back):
    assert deploy_or_go_back(before="", bad_smokes=1) == (1, [DEPLOY, SMOKE])
    code, acts = deploy_or_go_back(bad_deploy=1)
    assert code != 0 and acts == [DEPLOY]


# --- The function that runs the tasks of a release ----------------------------------------------------


class Tasks:
    """Answers like ECS: each task runs for two looks, then ends with the next of `exits`."""

    def __init__(self, exits: list[int | None]) -> None:
        self.exits = exits
        self.commands: list[list[str]] = []
        self.looks = 0

    def run_task(self, **request: Any) -> dict[str, Any]:
        (override,) = request["overrides"]["containerOverrides"]
        assert request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
        self.commands.append(override["command"])
        self.looks = 0
        return {"failures": [], "tasks": [{"taskArn": f"arn:{len(self.commands)}"}]}

    def describe_tasks(self, **_: Any) -> dict[str, Any]:
        self.looks += 1
        app = {"name": "app", "exitCode": self.exits[len(self.commands) - 1]}
        status = "STOPPED" if self.looks > 2 else "RUNNING"
        return {"tasks": [{"lastStatus": status, "containers": [{"name": "collector"}, app]}]}


@pytest.fixture
def release(monkeypatch):
    """The function's module, and its properties; boto3 is there only on AWS."""
    monkeypatch.setitem(sys.modules, "boto3", types.ModuleType("boto3"))
    path = deploying.DEPLOY / "stacks" / "release_handler" / "index.py"
    spec = importlib.util.spec_from_file_location("release_index", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "POLL_S", 0.001)
    properties = {
        "Cluster": "c",
        "TaskDefinition": "t",
        "Subnets": ["s"],
        "SecurityGroup": "g",
        "Commands": [["create_tables"], ["migrate", "--noinput"]],
    }
    return module, properties


def test_the_tasks_of_a_release_run_one_after_the_other(release):
    module, properties = release
    tasks = Tasks([0, 0])
    module.run_all(tasks, properties, time.monotonic() + 10)
    assert tasks.commands == [
        ["python", "manage.py", "create_tables"],
        ["python", "manage.py", "migrate", "--noinput"],
    ]


def test_a_task_that_fails_ends_the_release_and_is_named(release):
    module, properties = release
    tasks = Tasks([1, 0])
    with pytest.raises(RuntimeError, match="`create_tables` ended with exit code 1"):
        module.run_all(tasks, properties, time.monotonic() + 10)
    assert len(tasks.commands) == 1
    with pytest.raises(RuntimeError, match="ended with exit code None"):
        module.run_all(Tasks([None]), properties, time.monotonic() + 10)
    with pytest.raises(RuntimeError, match="did not end in time"):
        module.run_all(Tasks([0]), properties, time.monotonic() - 1)

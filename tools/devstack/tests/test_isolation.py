"""`make run` in a shell full of other tools' variables, in a folder with an odd name, on an open network."""

import os
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest

from tools.devstack.install.files import ROOT, cache_folder
from tools.devstack.processes.environment import for_parts
from tools.devstack.processes.ports import free_port
from tools.devstack.tests.machines import bare_environment, call, fresh_checkout, start
from tools.devstack.tests.stage import Running, clean_environment, stack_command, until

NOWHERE = "http://127.0.0.1:1"
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
PROXIES |= {"ALL_PROXY": "socks5://127.0.0.1:1", "all_proxy": "socks5://127.0.0.1:1"}
OTHER_ACCOUNT = {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-central-1"}
OTHER_PROJECT = {
    "ALLOWED_HOSTS": "other.example",
    "AWS_PROFILE": "other",
    "DEBUG": "express:*",
    "DJANGO_SETTINGS_MODULE": "other.settings",
    "LC_ALL": "C",
    "LOG_FORMAT": "pretty",
    "LOG_LEVEL": "debug",
    "SECRET_KEY": "$other",
    "STATIC_URL": "https://other.example/",
}


@pytest.fixture
def shell(tmp_path) -> dict[str, str]:
    """The variables of a developer's shell with settings of other projects."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "django.py").write_text("raise SystemExit('this is no Django')\n")
    (other / "startup.py").write_text("raise SystemExit('this is no prompt')\n")
    return PROXIES | OTHER_ACCOUNT | OTHER_PROJECT | {
        "DATABASE_URL": f"sqlite:///{other}/other.sqlite3",
        "PYTHONPATH": str(other),
        "PYTHONSTARTUP": str(other / "startup.py"),
    }  # fmt: skip


def run_with(shell: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    env = clean_environment(**shell)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def tables(port: int, access_key: str) -> list[str]:
    client = botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key="any",
    )
    return list(client.list_tables()["TableNames"])


def test_variables_of_other_tools_change_nothing(shell, tmp_path):
    data, port = tmp_path / "data", free_port()
    command = stack_command("--port", str(port), "--data-dir", str(data), "run")
    with Running(command, port, env=clean_environment(**shell)) as running:
        running.wait_ready(120)
        made = run_with(shell, *stack_command("--data-dir", str(data), "token", "--user", "ann"))
        assert made.returncode == 0, made.stderr
        assert running.score("ann", 10, made.stdout.split()[-1]) == 10
        until(lambda: running.board() == {"ann": 10}, 20, lambda: str(running.board()))
        verified = run_with(shell, *stack_command("--data-dir", str(data), "verify"))
        assert verified.returncode == 0, verified.stdout + verified.stderr
        by_hand = PROXIES | OTHER_ACCOUNT | {"DATA_DIR": str(data)}
        verified = run_with(by_hand, sys.executable, "manage.py", "verify_ledger")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert "1 players checked, 0 broken" in verified.stdout
        text = "\n".join(running.lines)
        assert f"DATABASE_URL of this shell is not used: the moderators' accounts are in {data}" in text
    assert not (tmp_path / "other" / "other.sqlite3").exists()


def test_strangers_see_no_tables_and_the_data_are_the_owners_alone(tmp_path):
    port = free_port()
    command = stack_command("--port", str(port), "--data-dir", str(tmp_path / "data"), "run")
    with Running(command, port) as running:
        running.wait_ready(120)
        lines = (tmp_path / "data" / "stack.env").read_text().splitlines()
        addresses = dict(line.split("=", 1) for line in lines)
        dynamodb = int(addresses["DYNAMODB_ENDPOINT_URL"].rsplit(":", 1)[1])
        assert tables(dynamodb, "local") == tables(dynamodb, "0" * 32) == []
        assert tables(dynamodb, addresses["DYNAMODB_ACCESS_KEY_ID"]) == ["ScoreLedger", "UserScores"]
        for file in (path for path in (tmp_path / "data").rglob("*") if path.is_file()):
            assert file.stat().st_mode & 0o077 == 0, file
        assert (tmp_path / "data" / "admin.sqlite3").exists()


def test_scores_outlast_a_restart_in_a_folder_with_an_odd_name(tmp_path):
    checkout = fresh_checkout(tmp_path / "a+b #1 100% ü?")
    env = bare_environment(tmp_path / "machine")
    env |= {"SCOREBOARD_CACHE_DIR": str(cache_folder()), "LC_ALL": "C"}
    for score in (10, 20):
        with start(checkout, env) as running:
            running.wait_ready(240)
            token = call(checkout, env, "token", "--user", "ann").stdout.split()[-1]
            assert running.score("ann", 10, token) == score
            running.process.terminate()
            assert running.process.wait(30) == 0
    assert Path(checkout, ".local", "admin.sqlite3").exists()


def test_parts_get_what_is_theirs_of_a_shell():
    shell = {
        "PATH": "/bin",
        "SCOREBOARD_TITLE": "Cup",
        "LOG_LEVEL": "debug",
        "DEBUG": "yes?",
        "AWS_PROFILE": "a",
    }
    env = for_parts(shell)
    assert (env["PATH"], env["SCOREBOARD_TITLE"], env["LOG_LEVEL"]) == ("/bin", "Cup", "DEBUG")
    assert env["DEBUG"] == "true" and "AWS_PROFILE" not in env and env["AWS_CONFIG_FILE"] == os.devnull
    assert "LOG_LEVEL" not in for_parts({"LOG_LEVEL": "loud"})


def test_aws_profile_counts_for_a_dynamodb_that_was_named():
    env = for_parts({"DYNAMODB_ENDPOINT_URL": "http://10.0.0.1:8000", "AWS_PROFILE": "a"})
    assert env["AWS_PROFILE"] == "a" and "AWS_CONFIG_FILE" not in env


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_proxies_never_get_requests_to_this_machine(name):
    env = for_parts({"HTTP_PROXY": "http://proxy:3128", name: ".example.com"})
    assert env["NO_PROXY"] == env["no_proxy"] == ".example.com,127.0.0.1,localhost,::1"
    assert env["HTTP_PROXY"] == "http://proxy:3128"

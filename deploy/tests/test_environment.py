"""The application accepts exactly what the task definitions give it, and has nothing to complain about."""

from __future__ import annotations

import os
import string

import pytest

from deploy.tests.assembly import Assembly
from tools.devstack.processes import children
from tools.testing.processes import ROOT

SECRETS = {
    "SECRET_KEY": string.ascii_letters + string.digits,
    "REDIS_URL": "rediss://:password@cache.example.com:6379/0",
    "SCOREBOARD_TICKET_KEYS": "1:" + "k" * 64,
    "DATABASE_URL": "postgres://scoreboard:password@database.example.com:5432/scoreboard?sslmode=require",
    "PROBE_CLIENT_SECRET": "s" * 32,
    "SENTRY_DSN": "",
}


def environment_of(assembly: Assembly, role: str) -> dict[str, str]:
    """What a container of this kind finds, and nothing else but the PATH."""
    secrets = {each["Name"]: SECRETS[each["Name"]] for each in assembly.container(role)["Secrets"]}
    return {"PATH": os.environ["PATH"], **assembly.environment(role), **secrets}


@pytest.mark.parametrize("role", ["web", "admin", "ranking", "probe", "release"])
def test_check_deploy_is_clean_with_environment_and_packages_of_the_task(assemblies, runtime, role):
    for assembly in assemblies.values():
        code, output = children.run(
            [str(runtime / "bin" / "python"), "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            cwd=ROOT,
            env=environment_of(assembly, role),
        )
        assert code == 0, output
        assert "identified no issues" in output


def test_every_variable_is_one_that_the_application_reads(prod):
    known = (ROOT / "scoreboard_site" / "settings.py").read_text()
    known += (ROOT / "realtime" / "management" / "commands" / "probe_board.py").read_text()
    for role in ("web", "admin", "ranking", "probe", "release"):
        for name in environment_of(prod, role).keys() - {"PATH"}:
            assert f'"{name}"' in known, name


def test_production_asks_for_tickets_and_believes_its_two_proxies(prod):
    variables = prod.environment("web")
    assert variables["SCOREBOARD_REQUIRE_TICKET"] == "true"
    assert variables["SCOREBOARD_TRUSTED_PROXIES"] == "2"
    assert variables["DEBUG"] == "false"
    assert variables["ALLOWED_HOSTS"] == "board.example.com"
    assert variables["SCOREBOARD_ALLOWED_ORIGINS"] == "https://board.example.com"
    assert variables["SCOREBOARD_MAY_SCAN"] == "false"
    assert prod.environment("ranking")["SCOREBOARD_MAY_SCAN"] == "true"

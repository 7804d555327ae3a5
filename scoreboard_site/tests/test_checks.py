import os
import subprocess
import sys

import pytest
from django.core.checks import run_checks


def found():
    messages = run_checks(include_deployment_checks=False)
    return {message.id for message in messages if not message.is_silenced()}


def test_the_defaults_agree(settings):
    settings.DEBUG = True  # which the test runner turns off
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SCOREBOARD_MAX_INCREMENT", 0, "scoreboard.E001"),
        ("SCOREBOARD_MAX_INCREMENT", 2**53, "scoreboard.E001"),
        ("SCOREBOARD_LEDGER_DAYS", 1, "scoreboard.E002"),
        ("SCOREBOARD_MAX_CONNECTIONS", 0, "scoreboard.E003"),
        ("SCOREBOARD_MAX_WRITES", 0, "scoreboard.E020"),
        ("SCOREBOARD_MAX_SOCKETS", -1, "scoreboard.E021"),
        ("SCOREBOARD_ALLOWED_ORIGINS", ["example.com"], "scoreboard.E004"),
        ("SCOREBOARD_ALLOWED_ORIGINS", ["https://example.com/"], "scoreboard.E004"),
        ("SCOREBOARD_ALLOWED_ORIGINS", [], "scoreboard.W001"),
    ],
)
def test_settings_that_cannot_work_are_named(settings, name, value, expected):
    setattr(settings, name, value)
    assert expected in found()


def test_a_pool_that_is_not_set_is_named(settings):
    settings.LOCAL_ISSUER = False
    settings.COGNITO_ISSUER = settings.COGNITO_KEYSET_URL = "http://somewhere"
    settings.COGNITO_CLIENT_IDS = []
    settings.DEBUG = False
    assert {"scoreboard.E005", "scoreboard.E006", "scoreboard.E007", "scoreboard.W002"} <= found()


@pytest.mark.parametrize(
    ("environment", "text"),
    [({"DEBUG": "no"}, "SECRET_KEY"), ({"DEBUG": "perhaps"}, "DEBUG"), ({"PORT": "x"}, "PORT")],
)
def test_a_bad_setting_stops_the_start(environment, text):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert text in done.stderr


def test_the_local_issuer_is_refused_in_production():
    done = subprocess.run(
        [sys.executable, "manage.py", "token", "--skip-checks", "--user", "ann"],
        env={"PATH": os.environ["PATH"], "DEBUG": "no", "SECRET_KEY": "x"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "The local issuer works only with DEBUG on" in done.stderr


@pytest.mark.parametrize(
    ("environment", "code", "text"),
    [
        ({"DEBUG": "no", "SECRET_KEY": "x"}, 1, "The local moderator exists only with DEBUG on"),
        ({"SCOREBOARD_ADMIN": "no"}, 0, "no admin site"),
    ],
)
def test_the_local_moderator_is_made_on_a_laptop_only(environment, code, text, tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "local_moderator", "--skip-checks"],
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert text in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_migrations_are_complete(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

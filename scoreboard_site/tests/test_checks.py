"""Settings: how values of the environment are read, and which settings must agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from scoreboard_site.environment import Environment, misspelt
from scores import checks

#: What the processes of these tests need of the environment; settings come from each test.
INHERITED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


def found():
    messages = run_checks(include_deployment_checks=False)
    return {message.id for message in messages if not message.is_silenced()}


def test_every_id_of_a_check_names_one_rule():
    source = Path(checks.__file__).read_text()
    ids = re.findall(r'id="(scoreboard\.\w+)"', source)
    assert sorted(set(ids)) == sorted(ids)


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
        ("SCOREBOARD_ADMIN_ADDRESS_FAILURES", 4, "scoreboard.E022"),
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
    [
        ({"DEBUG": "no"}, "error: SECRET_KEY must be set when DEBUG is off."),
        ({"DEBUG": "perhaps"}, "error: DEBUG is 'perhaps'; it must be true or false."),
        ({"PORT": "x"}, "error: PORT is 'x'; it must be a whole number."),
        ({"LOG_LEVEL": "loud"}, "error: LOG_LEVEL is 'loud'; it must be one of DEBUG, INFO,"),
        ({"DATABASE_URL": "postgres://u:secret@h:port/x"}, "error: DATABASE_URL must be a database URL like"),
        ({"SCOREBOARD_TICKET_KEYS": "secret"}, "error: SCOREBOARD_TICKET_KEYS must be of the form id:secret"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_bad_setting_stops_the_start_with_one_line(environment, text, command):
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        env=INHERITED | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(text) and done.stderr.count("\n") == 1
    assert "secret@" not in done.stderr and done.stdout == ""


def test_a_misspelt_setting_is_named_at_the_start():
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env=INHERITED | {"SCOREBOARD_MAX_WRITE": "3"},
        capture_output=True,
        text=True,
    )
    assert "SCOREBOARD_MAX_WRITE is set, but there is no such setting." in done.stderr
    assert "Did you mean SCOREBOARD_MAX_WRITES?" in done.stderr


KNOWN = {"SCOREBOARD_TITLE", "SCOREBOARD_MAX_WRITES", "COGNITO_USER_POOL", "PORT"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("SCOREBOARD_TITEL", "SCOREBOARD_TITLE"),
        ("scoreboard_title", "SCOREBOARD_TITLE"),
        ("SCORBOARD_TITLE", "SCOREBOARD_TITLE"),
        ("SCOREBOARD_COLOUR", ""),
        ("SCOREBOARD_TITLE", None),
        ("PORTS", None),
        ("TITLE", None),
        ("BASH_FUNC_scoreboard_title%%", None),
    ],
)
def test_only_variables_that_look_like_ours_are_misspelt(given, found):
    assert misspelt({given: "x", "HOME": "/"}, KNOWN) == ({} if found is None else {given: found})


def environment(**values: str) -> Environment:
    made = Environment()
    made.ENVIRON = values
    return made


@pytest.mark.parametrize("text", ["$1,000 Cup", "$HOME", "$$", "\\$x", "a=b", '50% "off"'])
def test_text_is_taken_literally(text):
    assert environment(TITLE=text, HOME="/root").str("TITLE", "Top 10") == text


def test_blanks_around_values_and_items_are_stripped():
    found = environment(
        HOSTS=" a.example , b.example,, ", URL="redis://host \n", KEYS="1: x, 2:y ", PORT=" 80 "
    )
    assert found.list("HOSTS") == ["a.example", "b.example"]
    assert found.str("URL") == "redis://host"
    assert found.pairs("KEYS") == {"1": "x", "2": "y"}
    assert found.int("PORT") == 80


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("on", True), ("0", False), ("No", False)])
def test_booleans_are_words_or_digits(text, value):
    assert environment(X=text).bool("X", not value) is value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("bool", ""),
        ("bool", "treu"),
        ("bool", "2"),
        ("int", "1,000"),
        ("int", "1.5"),
        ("int", ""),
        ("float", "1,5"),
        ("float", "nan"),
        ("float", "1e999"),
        ("float", "$5"),
    ],
)
def test_a_bad_value_is_refused_by_name_and_value(kind, text):
    with pytest.raises(ImproperlyConfigured) as refused:
        getattr(environment(RATE=text), kind)("RATE", 1)
    assert str(refused.value).startswith(f"RATE is {text!r}; it must be ")


def test_a_default_is_not_parsed():
    assert environment().str("TITLE", "$x") == "$x"
    assert environment().database("DATABASE_URL", "") == {}


def test_the_local_issuer_is_refused_in_production():
    done = subprocess.run(
        [sys.executable, "manage.py", "token", "--skip-checks", "--user", "ann"],
        env=INHERITED | {"DEBUG": "no", "SECRET_KEY": "x"},
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
def test_the_local_moderator_is_made_in_development_only(environment, code, text, tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "local_moderator", "--skip-checks"],
        env=INHERITED | {"DATA_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert text in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_migrations_are_complete(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
        env=INHERITED | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

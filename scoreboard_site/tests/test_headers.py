"""Headers of every kind of answer of a real server, and what production settings are checked for."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scores.board.scoreboard import get_scoreboard
from scores.identity import local_issuer
from tools.testing.processes import ROOT, server

EXPECTED = {
    "Strict-Transport-Security": "max-age=3600",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture(scope="module")
def port(running_stores):
    from tools.testing import stage

    stage.reset()
    with server(SECURE_HSTS_SECONDS="3600") as part:
        yield part.port


def ask(port, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


TOKEN = "Authorization"
ANSWERS = {
    "the page": ("GET", "/", 200),
    "the board": ("GET", "/score/top10", 200),
    "a static file": ("GET", "/static/scoreboard/scoreboard.css", 200),
    "a missing static file": ("GET", "/static/none.css", 404),
    "the schema": ("GET", "/api/schema", 200),
    "the documentation": ("GET", "/api/docs", 200),
    "health": ("GET", "/livez", 200),
    "readiness": ("GET", "/readyz", 200),
    "an odd path": ("GET", "/none", 404),
    "a wrong method": ("DELETE", "/score/top10", 405),
    "no token": ("GET", "/score/me", 401),
    "a large body": ("POST", "/score/update", 413),
    "a socket's handshake": ("GET", "/ws/scoreboard", 400),
}


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_has_the_security_headers(port, method, path, status):
    body = b"x" * 5000 if status == 413 else None
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"} if path.startswith("/ws") else {}
    answer = ask(port, method, path, body, {"Content-Type": "application/json"} | upgrade)
    assert answer.status == status
    for name, value in EXPECTED.items():
        assert answer.headers.get_all(name) == [value], name
    (policy,) = answer.headers.get_all("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert answer.headers["Set-Cookie"] is None
    assert answer.headers.get_all("Date")


def test_subdomains_are_bound_to_https_only_when_asked_for():
    script = "import django; django.setup(); from scores.api.headers import SECURITY_HEADERS as h; "
    script += "print(h['Strict-Transport-Security'])"
    asked = {"SECURE_HSTS_INCLUDE_SUBDOMAINS": "true", "SECURE_HSTS_SECONDS": "60"}
    env = os.environ | asked | {"DJANGO_SETTINGS_MODULE": "scoreboard_site.settings"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout == "max-age=60; includeSubDomains\n"


def test_a_static_file_in_development_can_be_validated(port):
    path = "/static/scoreboard/scoreboard.css"
    etag = ask(port, "GET", path).headers["ETag"]
    assert ask(port, "GET", path, headers={"If-None-Match": etag}).status == 304
    assert ask(port, "GET", path, headers={"If-None-Match": '"other"'}).status == 200


def test_an_unknown_host_too(port):
    answer = ask(port, "GET", "/score/top10", headers={"Host": "evil.example"})
    assert answer.status == 400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Daphne-Root-Path": "/evil"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1"},
        {"X-Original-URL": "/none", "X-Rewrite-URL": "/none", "X-HTTP-Method-Override": "DELETE"},
        {"Forwarded": "for=6.6.6.6;host=evil.example"},
    ],
)
def test_headers_of_proxies_are_not_believed(port, headers):
    answer = ask(port, "GET", "/score/top10", headers=headers)
    assert answer.status == 200
    assert "evil" not in str(answer.headers)


ANN = {"userId": "ann", "increment": 1}
ODD_BODIES = {
    "a lone surrogate": (b'{"userId":"\\ud800","increment":1}', 400),
    "a lone surrogate as a field": (b'{"\\ud800":1,"userId":"ann","increment":1}', 400),
    "a field with a line break": (b'{"a\\nb":1,"userId":"ann","increment":1}', 400),
    "a field called __proto__": (b'{"__proto__":{},"userId":"ann","increment":1}', 400),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(ANN).encode(), 400),
    "UTF-16": (json.dumps(ANN).encode("utf-16"), 400),
    "two documents": (json.dumps(ANN).encode() * 2, 400),
    "a comment": (b'{"userId":"ann",/**/"increment":1}', 400),
    "a trailing comma": (b'{"userId":"ann","increment":1,}', 400),
    "a leading zero": (b'{"userId":"ann","increment":01}', 400),
    "a plus": (b'{"userId":"ann","increment":+1}', 400),
    "minus zero": (b'{"userId":"ann","increment":-0}', 400),
    "hexadecimal": (b'{"userId":"ann","increment":0x1}', 400),
    "4000 digits": (b'{"userId":"ann","increment":' + b"1" * 4000 + b"}", 400),
    "arrays, deep": (b"[" * 4096, 400),
    "objects, deep": (b'{"a":' * 800, 400),
    "a NUL": (b'{"userId":"ann\\u0000","increment":1}', 400),
    "a line break in an id": (b'{"userId":"ann\\n","increment":1}', 400),
    "digits of another script": ('{"userId":"ann","increment":١٢}'.encode(), 400),
    "4097 bytes": (b" " * 4097, 413),
    "a megabyte": (b" " * 1_000_000, 413),
}


@pytest.mark.parametrize(("body", "status"), ODD_BODIES.values(), ids=ODD_BODIES.keys())
def test_odd_bodies_change_nothing(port, body, status):
    token = local_issuer.mint("ann")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        answer = ask(port, "POST", "/score/update", body, headers)
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413  # refused while it was still being sent
        return
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    me = ask(port, "GET", "/score/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status == 200

    assert get_scoreboard().players.read("ann").version == 0


# --- Production settings ----------------------------------------------------------------------------

PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "nHc7-Uq9_xW2zR4bT6yV8mK1pL3sD5fG7hJ9aQ0wE2rT4yU6iO8p",
    "ALLOWED_HOSTS": "board.example.com",
    "SCOREBOARD_ALLOWED_ORIGINS": "https://board.example.com",
    "COGNITO_AWS_REGION": "eu-central-1",
    "COGNITO_USER_POOL": "eu-central-1_AbCdEf123",
    "COGNITO_CLIENT_IDS": "web,machine",
    "SCOREBOARD_REQUIRE_TICKET": "true",
    "SCOREBOARD_TICKET_KEYS": "2026-11:" + "k" * 48,
    "SCOREBOARD_TRUSTED_PROXIES": "2",
    "REDIS_URL": "rediss://cache.example.com:6379/0",
}


def check(**changes):
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LOG_FILE") if name in os.environ}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(
        command, cwd=ROOT, env=base | PRODUCTION | changes, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_the_deployment_check_is_clean_under_production_settings():
    code, output = check()
    assert code == 0, output
    assert "no issues" in output


ADMIN = {"SCOREBOARD_ADMIN": "true", "DATABASE_URL": "postgres://ann:pw@db.example.com/admin"}


def test_it_is_clean_with_the_admin_site_as_well():
    code, output = check(**ADMIN)
    assert code == 0, output


def test_the_admin_site_has_no_database_of_its_own_in_production_and_secure_cookies():
    assert "SCOREBOARD_ADMIN needs DATABASE_URL" in check(SCOREBOARD_ADMIN="true")[1]
    script = (
        "from django.conf import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, "
        "s.SESSION_COOKIE_SAMESITE, s.CSRF_TRUSTED_ORIGINS)"
    )
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | PRODUCTION | ADMIN
    env["DJANGO_SETTINGS_MODULE"] = "scoreboard_site.settings"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split(maxsplit=3) == ["True", "True", "Lax", "['https://board.example.com']\n"]


def test_it_names_the_risk_of_players_who_need_no_ticket():
    code, output = check(SCOREBOARD_REQUIRE_TICKET="false")
    assert code == 1
    assert "scoreboard.W003" in output and "Players can give themselves points" in output
    assert check(SCOREBOARD_REQUIRE_TICKET="false", SCOREBOARD_SERVER_ONLY="true")[0] == 0


def test_it_refuses_keys_that_can_be_guessed_and_limits_that_are_none():
    changes = {
        "SCOREBOARD_TICKET_KEYS": "a:short",
        "SCOREBOARD_PLAYER_RATE": "0",
        "SCOREBOARD_TRUSTED_PROXIES": "-1",
        "SCOREBOARD_TICKET_LEEWAY_S": "9999",
    }
    code, output = check(**changes)
    assert code == 1
    for name in ("E009", "E010", "E013", "E014"):
        assert f"scoreboard.{name}" in output
    assert "scoreboard.E008" in check(SCOREBOARD_TICKET_KEYS="")[1]


@pytest.mark.parametrize("keys", ["nothing", ":secret", "id:", "a:b,c"])
def test_keys_in_another_form_stop_the_start(keys):
    code, output = check(SCOREBOARD_TICKET_KEYS=keys)
    assert code != 0 and "SCOREBOARD_TICKET_KEYS must be of the form" in output


def test_production_logs_are_json_and_its_start_needs_a_secret(tmp_path: Path):
    assert "SECRET_KEY must be set" in check(SECRET_KEY="")[1]
    script = "import django, logging; django.setup(); logging.getLogger('scores').warning('hello')"
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | PRODUCTION
    env["DJANGO_SETTINGS_MODULE"] = "scoreboard_site.settings"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stderr)["message"] == "hello"

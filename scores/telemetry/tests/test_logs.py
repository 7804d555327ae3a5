"""Logs: no secrets, no line that a client forged, and no work that a client can multiply."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import time
from pathlib import Path

import jwt
import pytest
import redis

from scores.api.tests.test_views import call, update
from scores.identity import local_issuer
from scores.telemetry import logs, redaction, security_events

TOKEN = jwt.encode({"sub": "ann"}, "x" * 32, algorithm="HS256")


@pytest.fixture
def written():
    """Returns the JSON objects that a handler with our filter writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.Redact())
    handler.setFormatter(logs.JSONFormatter())
    logger = logging.getLogger("scores")
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"refused {TOKEN}!", "refused [token]!"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [token]"),
        ("bearer abc.def.ghi", "bearer [token]"),
        (f"Bearer%20{TOKEN}", "Bearer%20[token]"),
        (f"id_token={TOKEN}", "id_token=[secret]"),
        ("HeyJude.example.com", "HeyJude.example.com"),
        ("redis://:hunter2@host:6379/0", "redis://[secret]@host:6379/0"),
        ("redis://user:pa/ss@host", "redis://[secret]@host"),
        ("redis://user:p@ss@host:6379/0", "redis://[secret]@host:6379/0"),
        ("redis://user:p?a#s/s@host then", "redis://[secret]@host then"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("postgres://ann:pw@db/scores", "postgres://[secret]@db/scores"),
        ("mail to ann.b+c@example.co.uk.", "mail to [e-mail]."),
        ("key AKIAABCDEFGHIJKLMNOP", "key [access key]"),
        ("aws_secret_access_key = abc/def+", "aws_secret_access_key = [secret]"),
        ("{'password': 'a b c'}", "{'password': [secret]}"),
        ("SCOREBOARD_TICKET_KEYS=1:abc,2:def", "SCOREBOARD_TICKET_KEYS=[secret]"),
        ("Cookie: sessionid=abc123; csrftoken=def", "Cookie: sessionid=[secret] csrftoken=[secret]"),
        ("GET /?code=4f2a-91c0&state=1", "GET /?code=[secret]"),
        ("code_verifier=abc refresh_token=def", "code_verifier=[secret] refresh_token=[secret]"),
        ('"client_secret" : "a b"', '"client_secret" : [secret]'),
        ("passwd=a pwd=b api-key: c", "passwd=[secret] pwd=[secret] api-key: [secret]"),
        ("closed with code: 4401, tokens: 3", "closed with code: 4401, tokens: 3"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", "[key]"),
        ("player USER-123 at revision 17", "player USER-123 at revision 17"),
    ],
)
def test_secrets_are_removed(text, clean):
    assert redaction.without_secrets(text) == clean


def test_configured_secrets_are_removed_by_their_value(settings):
    settings.SCOREBOARD_TICKET_KEYS = {"2026-11": "k" * 32}
    settings.SECRET_KEY = "s3cr3t-" * 5
    assert redaction.without_secrets(f"{settings.SCOREBOARD_TICKET_KEYS}") == "{'2026-11': '[secret]'}"
    assert redaction.without_secrets(f"<{settings.SECRET_KEY}>") == "<[secret]>"


HOSTILE = [
    "a",
    "-",
    ".",
    " ",
    "@",
    "/",
    "a.",
    "a@",
    "a-",
    "a@a.",
    "://",
    "a://",
    "a:",
    "a=",
    "eyJ",
    "-eyJaaaa",
    ".eyJaaaaaaaaaaaaaaaaaa",
    "secret",
    "password=",
    "password='",
    "code=",
    "bearer ",
    "bearer",
    "AKIA",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "PRIVATE KEY",
    "\u0301",
    "\n",
]


def seconds_for(text: str) -> float:
    """CPU time of the fastest of five runs."""

    def once() -> float:
        started = time.thread_time()
        redaction.without_secrets(text)
        return time.thread_time() - started

    return min(once() for _ in range(5))


@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
@pytest.mark.parametrize("start", ["", "password='"])
def test_hostile_text_of_twice_the_length_takes_at_most_twice_the_time(unit, start):
    text = start + unit * (redaction.MAX_CHARS // len(unit))
    half, whole = seconds_for(text[: len(text) // 2]), seconds_for(text)
    assert whole < 0.2
    assert whole < 3 * half + 0.01


def test_long_text_is_cut_before_it_is_logged(written):
    long = "x" * 1_000_000
    logging.getLogger("scores.test").warning("%s", long, extra={"fields": {"origin": long}})
    line = written()[0]
    assert len(line["message"]) < logs.MAX_MESSAGE + 50 and line["message"].endswith(
        "… [cut, 1000000 characters]"
    )
    assert len(line["origin"]) < logs.MAX_FIELD + 50


def test_a_cut_does_not_expose_half_a_secret():
    text = "x" * 90 + " redis://user:hunter2-and-more@host/0"
    assert "hunter2" not in redaction.without_secrets(text, 110)


def test_arguments_fields_and_tracebacks_are_cleaned_too(written):
    logger = logging.getLogger("scores.test")
    logger.warning("token %s of %s", TOKEN, "ann@example.com", extra={"fields": {"userId": "a@b.example"}})
    try:
        raise ValueError(f"Bearer {TOKEN}")
    except ValueError:
        logger.exception("failed")
    first, second = written()
    assert first["message"] == "token [token] of [e-mail]" and first["userId"] == "[e-mail]"
    assert "ValueError: Bearer [token]" in second["exception"]


def test_a_lost_connection_is_one_line_and_other_errors_have_a_traceback(written):
    logger = logging.getLogger("scores.test")
    logger.addFilter(logs.WithoutTraceback())
    for error in (redis.ConnectionError("closed"), ConnectionResetError(), ValueError("a bug")):
        try:
            raise error
        except (OSError, redis.RedisError, ValueError):
            logger.exception("while listening")
    first, second, third = written()
    assert (first["level"], first["message"]) == ("WARNING", "while listening: ConnectionError")
    assert second["message"] == "while listening: ConnectionResetError"
    assert "exception" not in first | second
    assert third["level"] == "ERROR" and "ValueError: a bug" in third["exception"]
    logger.filters.clear()


def test_a_client_cannot_forge_a_line(written):
    logging.getLogger("scores.test").warning("name %s", "x\n2026 ERROR\r\u2028 y\x1b[31m")
    assert written()[0]["message"] == "name x\\x0a2026 ERROR\\x0d\\x2028 y\\x1b[31m"


def test_a_wrong_format_string_stops_nothing(written):
    logging.getLogger("scores.test").warning("%s %s", "one")
    assert written()[0]["message"] == "%s %s"


def test_the_line_format_shows_fields_and_tracebacks():
    record = logging.LogRecord("scores.security", logging.WARNING, "", 0, "refused", None, None)
    record.fields = {"event": "forbidden", "status": 403}
    record.exc_text = "Traceback"
    logs.Redact().filter(record)
    text = logs.LineFormatter("%(levelname)s %(name)s: %(message)s").format(record)
    assert text == "WARNING scores.security: refused event=forbidden status=403\nTraceback"


def test_refusals_are_security_events(stores, written, settings):
    settings.SCOREBOARD_TRUSTED_PROXIES = 1
    body = {"userId": "bob", "increment": 1}
    answer = update(body, "ann", X_Forwarded_For="1.2.3.4", X_Request_ID="request-0001")
    assert answer["X-Request-ID"] == "request-0001"
    update({"userId": "ann", "increment": 1}, "ann", Idempotency_Key="key-once-1")
    update({"userId": "ann", "increment": 2}, "ann", Idempotency_Key="key-once-1")
    call("GET", "/score/me", Authorization=f"Bearer {TOKEN}")
    settings.SCOREBOARD_PLAYER_RATE, settings.SCOREBOARD_PLAYER_BURST = 0.01, 1
    for _ in range(2):
        update({"userId": "cid", "increment": 1}, "cid")
    events = [line for line in written() if line["logger"] == "scores.security"]
    assert [event["event"] for event in events] == ["forbidden", "key_reused", "unauthorized", "rate_limited"]
    assert (
        events[0].items()
        >= {
            "status": 403,
            "method": "POST",
            "path": "/score/update",
            "address": "1.2.3.4",
            "subject": "ann",
            "clientId": local_issuer.CLIENT_ID,
            "userId": "bob",
            "requestId": "request-0001",
        }.items()
    )
    assert events[2]["reason"] == "not an RS256 token" and "subject" not in events[2]
    assert not re.search("key-once|eyJ", json.dumps(events))


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "with space", "a\tb-------", "ünsafe-id", "x;y=z---"]
)
def test_an_unsafe_request_id_is_replaced(stores, given):
    assert re.fullmatch(r"[0-9a-f]{32}", call("GET", "/score/top10", X_Request_ID=given)["X-Request-ID"])


def test_a_flood_of_refusals_writes_few_lines():
    now = [0.0]
    pace = security_events.Pace(lambda: now[0])
    admitted = [pace.admit("unauthorized") for _ in range(1000)]
    assert [each for each in admitted if each is not None] == [0] * security_events.MAX_PER_S
    assert pace.admit("forbidden") == 0
    now[0] = 1.0
    assert pace.admit("unauthorized") == 1000 - security_events.MAX_PER_S


@pytest.mark.last
def test_no_log_of_the_suite_holds_a_secret():
    """All processes of the suite log to one file. This test reads it after all others."""
    security_events.refused("test", userId="ann@example.com", reason=f"Bearer {TOKEN}")
    text = Path(os.environ["LOG_FILE"]).read_text()
    assert "userId=[e-mail] reason=Bearer [token]" in text
    secrets = r"eyJ[\w-]+\.|(?i:bearer) [\w-]{8,}\.|PRIVATE KEY|[\w.]+@[\w-]+\.\w+|://[^/\s]*:[^/\s]*@"
    assert [line for line in text.splitlines() if re.search(secrets, line)] == []

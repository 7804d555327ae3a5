"""Reports of errors, sent by the real SDK, hold no secrets and no personal data."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jwt

from tools.devstack.install.files import ROOT
from tools.testing.receiver import receiving

TOKEN = jwt.encode({"sub": "ann"}, "x" * 32, algorithm="HS256")
SCRIPT = """
import django, logging, sys
django.setup()
from scores.telemetry import logs
logs.request_id.set("request-0001")
token = sys.argv[1]
logging.getLogger("scores").warning("not worth a report")
try:
    raise ValueError(f"refused Bearer {token} of ann@example.com")
except ValueError:
    fields = {"address": "1.2.3.4"}
    logging.getLogger("scores").exception("unexpected error with %s", token, extra={"fields": fields})
"""


def test_an_unexpected_error_is_reported_without_secrets_and_data():
    with receiving() as sentry:
        env = os.environ | {
            "SENTRY_DSN": f"http://public@127.0.0.1:{sentry.port}/7",
            "SENTRY_ENVIRONMENT": "test",
            "DJANGO_SETTINGS_MODULE": "scoreboard_site.settings",
        }
        command = [sys.executable, "-c", SCRIPT, TOKEN]
        subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=60, capture_output=True)
        sentry.wait_for(lambda: sentry.received)
    assert len(sentry.received) == 1
    path, _, body = sentry.received[0]
    assert path == "/api/7/envelope/"
    event = json.loads(body.splitlines()[2])
    assert event["environment"] == "test" and event["level"] == "error"
    assert event["tags"] == {"requestId": "request-0001"}
    assert event["exception"]["values"][-1]["value"] == "refused Bearer [token] of [e-mail]"
    assert "unexpected error with [token]" in json.dumps(event["logentry"])
    for secret in (TOKEN, "ann@example.com", "1.2.3.4"):
        assert secret.encode() not in body
    assert not {"extra", "user", "request", "breadcrumbs"} & event.keys()

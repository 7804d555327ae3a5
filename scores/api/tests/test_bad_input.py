"""Bad input on a real server: refused fast, and without a trace in the table."""

from __future__ import annotations

import http.client
import json
import time
from statistics import median

import pytest

from scores.api.tests.test_views import BAD_BODIES
from scores.board.scoreboard import get_scoreboard
from scores.identity import local_issuer
from scores.stores import ledger
from tools.testing.processes import server

#: Refusals answer within this (s).
SOON_S = 0.05
ROUNDS = 9
JSON = "application/json"
GOOD = {"userId": "ann", "increment": 1}

#: What is sent → (status, content type, body; an iterable is sent in chunks).
REFUSED = {
    **{name: (400, JSON, body) for name, body in BAD_BODIES.items()},
    "too large": (413, JSON, b'{"userId":"' + b"a" * 5000 + b'"}'),
    "far too large": (413, JSON, b"x" * 1_000_000),
    "too large in chunks": (413, JSON, [b"x" * 1000] * 9),
    "a form": (415, "application/x-www-form-urlencoded", b"userId=ann&increment=1"),
    "another charset": (415, "application/json; charset=latin1", GOOD),
    "no content type": (415, "", GOOD),
}


@pytest.fixture(scope="module")
def part(running_stores):
    from tools.testing import stage

    stage.reset()
    with server() as part:
        yield part


def send(part, token, content_type, body):
    """Status and seconds of one update on a connection of its own."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    connection = http.client.HTTPConnection("127.0.0.1", part.port, timeout=5)
    connection.connect()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    began = time.perf_counter()
    try:
        connection.request("POST", "/score/update", data, headers, encode_chunked=not isinstance(data, bytes))
    except BrokenPipeError:
        pass  # it was refused before it had all been sent
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    connection.close()
    return answer.status, took


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.alone
def test_it_is_refused_at_once_and_changes_nothing(part, name):
    status, content_type, body = REFUSED[name]
    token = local_issuer.mint("ann")
    answers = [send(part, token, content_type, body) for _ in range(ROUNDS)]
    assert {answer for answer, _ in answers} == {status}
    # The middle one: a busy machine delays some, a slow answer delays all.
    assert median(took for _, took in answers) < SOON_S, answers
    assert get_scoreboard().players.read("ann").version == 0
    assert ledger.read_all("ann") == []

"""A warning that repeats is logged once, also while a Redis user has no right to use channels."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import redis
from websockets.sync.client import connect

from scores.identity import local_issuer
from scores.telemetry.repetition import QUIET_S, Repetition
from tools.testing.clock import Clock
from tools.testing.processes import post, server


def record(message: str, *arguments: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("realtime.hub.hub", level, "", 0, message, arguments, None)


def test_the_same_warning_is_logged_once_in_ten_minutes():
    clock = Clock()
    repetition = Repetition(clock)
    passed = [repetition.filter(record("revision %d: %s", number, "Gone")) for number in range(600)]
    assert passed == [True] + [False] * 599
    assert repetition.filter(record("revision %d: %s", 1, "NoPermission"))
    clock.now += QUIET_S
    again = record("revision %d: %s", 7, "Gone")
    assert repetition.filter(again)
    assert again.getMessage() == "revision 7: Gone (and 599 times since the last such line)"


def test_errors_are_never_left_out():
    repetition = Repetition()
    assert all(repetition.filter(record("failed", level=logging.ERROR)) for _ in range(10))


def test_the_memory_of_warnings_is_bounded():
    repetition = Repetition()
    for number in range(10_000):
        repetition.filter(record(f"warning {number}"))
    assert len(repetition._seen) <= 100


@contextmanager
def redis_user(*rules: str) -> Iterator[str]:
    """The address of Redis for a user with these rights."""
    url = urlsplit(os.environ["REDIS_URL"])
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">pw", *rules)
        yield url._replace(netloc=f"narrow:pw@{url.netloc.rpartition('@')[2]}").geturl()
        client.execute_command("ACL", "DELUSER", "narrow")


def test_without_the_right_to_channels_boards_go_on_and_one_warning_is_logged(stores):
    lines: list[str] = []
    rules = ("~*", "+@all", "resetchannels")
    with redis_user(*rules) as url, server(sink=lines.append, REDIS_URL=url) as part:
        token = local_issuer.mint("ann")
        with connect(f"ws://127.0.0.1:{part.port}/ws/scoreboard") as viewer:
            viewer.recv(timeout=5)
            for number in range(5):
                assert post(part, token, "ann", 1, f"k{number}").status_code == 200
                time.sleep(0.5)
            deadline = time.monotonic() + 5
            while '"score":5' not in viewer.recv(timeout=5):
                assert time.monotonic() < deadline
        assert httpx.get(f"{part.url}/score/top10").json()[0]["score"] == 5
    warnings = [line for line in lines if "NoPermission" in line]
    assert len([line for line in warnings if "receive task" in line]) == 1, lines
    assert len([line for line in warnings if "could not announce" in line]) == 1, lines
    assert len(warnings) == 2, lines


def test_the_documented_rights_are_enough(stores, settings):
    text = (settings.BASE_DIR / "docs" / "operations.md").read_text()
    (rules,) = re.findall(r"ACL SETUSER scoreboard on >PASSWORD (.*)", text)
    lines: list[str] = []
    with redis_user(*rules.split()) as url, server(sink=lines.append, REDIS_URL=url) as part:
        token = local_issuer.mint("ann")
        assert post(part, token, "ann", 1, "k1").status_code == 200
        assert httpx.get(f"{part.url}/score/top10").json()[0]["score"] == 1
        me = httpx.get(f"{part.url}/score/me", headers={"Authorization": f"Bearer {token}"})
        assert me.json()["rank"] == 1
        time.sleep(2)  # the hub and the reconciler have used their commands
    assert [line for line in lines if "WARNING" in line or "ERROR" in line] == []

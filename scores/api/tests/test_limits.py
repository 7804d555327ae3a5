"""Rate limits: exact in Redis however many ask, and still there when Redis is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from subprocess import PIPE

import pytest

from scores.api.tests.test_views import assert_problem, call, update
from scores.rules import limits
from scores.rules.errors import RateLimited
from scores.rules.limits import Charge, Demand, KnownRefusals, Left, Limit, LocalLimiter
from scores.stores import cache
from tools.testing import stage
from tools.testing.clock import Clock

SLOW = Limit("slow", 0.001, 5)


@pytest.fixture
def clock():
    return Clock()


def granted(settle, limit: Limit, who: str = "ann") -> bool:
    try:
        settle(Demand(Charge(limit, who)))
    except RateLimited:
        return False
    return True


def in_redis(demand: Demand) -> None:
    stage.scoreboard().ranking().guess("ann", demand)


@pytest.fixture(params=["redis", "local"])
def settle(request, stores):
    return in_redis if request.param == "redis" else LocalLimiter().settle


def test_a_burst_passes_and_no_more(settle):
    assert [granted(settle, SLOW) for _ in range(8)] == [True] * 5 + [False] * 3
    assert granted(settle, SLOW, "bob")


def test_what_is_left_is_counted_down_and_earned_again(settle):
    limit = Limit("quick", 20, 4)
    demands = [Demand(Charge(limit, "ann")) for _ in range(4)]
    for demand in demands:
        settle(demand)
    assert [int(re.findall(r"r=(\d+)", demand.headers()["RateLimit"])[0]) for demand in demands] == [
        3,
        2,
        1,
        0,
    ]
    assert demands[0].headers()["RateLimit-Policy"] == '"quick";q=4;w=1'
    assert not granted(settle, limit)
    time.sleep(0.06)
    assert granted(settle, limit) and not granted(settle, limit)


def test_one_refusal_charges_nobody(settle):
    wide = Limit("wide", 0.001, 100)
    for _ in range(5):
        settle(Demand(Charge(wide, "ann"), Charge(SLOW, "ann")))
    for _ in range(3):
        with pytest.raises(RateLimited):
            settle(Demand(Charge(wide, "ann"), Charge(SLOW, "ann")))
    last = Demand(Charge(wide, "ann"))
    settle(last)
    assert "r=94;" in last.headers()["RateLimit"]


def test_the_wait_is_told_and_is_right(clock):
    limiter, limit = LocalLimiter(clock), Limit("minute", 1 / 60, 2)
    assert granted(limiter.settle, limit) and granted(limiter.settle, limit)
    clock.now += 20
    with pytest.raises(RateLimited) as refused:
        limiter.settle(Demand(Charge(limit, "ann")))
    assert refused.value.retry_after == 40
    clock.now += 39.9
    assert not granted(limiter.settle, limit)
    clock.now += 0.2
    assert granted(limiter.settle, limit)


def test_a_clock_set_back_costs_one_burst_at_most(stores):
    current = stage.scoreboard().ranking()
    limit = Limit("slow", 1, 3)
    stage.scoreboard().cache.client.set(
        current._key("limit:slow:ann"), str((int(time.time()) + 86_400) * 1_000_000)
    )
    with pytest.raises(RateLimited) as refused:
        current.guess("ann", Demand(Charge(limit, "ann")))
    assert refused.value.retry_after == 1


def test_keys_go_when_the_burst_is_whole_again(stores):
    current = stage.scoreboard().ranking()
    current.guess("ann", Demand(Charge(Limit("quick", 10, 5), "ann")))
    assert 0 < stage.scoreboard().cache.client.pttl(current._key("limit:quick:ann")) <= 101


def test_known_refusals_spare_redis_the_flood_and_end_in_time(clock):
    known = KnownRefusals(clock)
    demand = Demand(Charge(SLOW, "ann"))
    with pytest.raises(RateLimited):
        demand.settle([Left(10_000_000, 0, 60_000_000)])
    known.note(demand)
    clock.now += 4
    with pytest.raises(RateLimited) as refused:
        known.check(Demand(Charge(SLOW, "bob"), Charge(SLOW, "ann")))
    assert refused.value.retry_after == 6
    known.check(Demand(Charge(SLOW, "bob")))
    clock.now += 6.001
    known.check(Demand(Charge(SLOW, "ann")))


def test_memory_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(limits, "REMEMBERED", 10)
    limiter, known = LocalLimiter(clock), KnownRefusals(clock)
    for number in range(50):
        demand = Demand(Charge(SLOW, str(number)))
        limiter.settle(demand)
        demand._left = [Left(1, 0, 1)]
        known.note(demand)
    assert len(limiter._whole_at) == len(known._until) == 10


def test_it_is_exact_under_eight_threads_in_each_of_two_processes(stores):
    env = os.environ | {"SCOREBOARD_PLAYER_RATE": "0.001", "SCOREBOARD_PLAYER_BURST": "400"}
    env |= {"DJANGO_SETTINGS_MODULE": "scoreboard_site.settings"}
    command = [sys.executable, "-m", "scores.identity.tests.flood", "ann", "8", "1000"]

    with ExitStack() as stack:
        floods = [
            stack.enter_context(subprocess.Popen(command, env=env, stdin=PIPE, stdout=PIPE, text=True))
            for _ in range(2)
        ]
        for flood in floods:
            assert flood.stdout and flood.stdout.readline() == "ready\n"
        for flood in floods:
            assert flood.stdin
            flood.stdin.write("go\n")
            flood.stdin.flush()
        counts = [int(flood.communicate(timeout=60)[0]) for flood in floods]
    assert sum(counts) == 400
    assert min(counts) > 0


# --- Over HTTP ------------------------------------------------------------------------------------


def limited_to(settings, who, burst):
    setattr(settings, f"SCOREBOARD_{who}_RATE", 0.01)
    setattr(settings, f"SCOREBOARD_{who}_BURST", burst)


def test_a_player_is_told_the_limit_and_when_to_come_back(stores, settings):
    limited_to(settings, "PLAYER", 2)
    body = {"userId": "ann", "increment": 1}
    first = update(body)
    assert first["RateLimit-Policy"] == '"player";q=2;w=200, "address";q=2000;w=4'
    assert first["RateLimit"].startswith('"player";r=1;t=100, "address";r=1999;t=1')
    assert update(body).status_code == 200
    for _ in range(2):
        refused = update(body, Idempotency_Key="k")
        assert_problem(refused, 429, "rate_limited")
        assert 98 <= int(refused["Retry-After"]) <= 100
        assert refused["RateLimit"].startswith('"player";r=0;')
        assert refused["Idempotency-Key"] == "k"
    assert stage.scoreboard().players.read("ann").score == 2
    assert update({"userId": "bob", "increment": 1}, "bob").status_code == 200


def test_addresses_are_limited_and_cannot_be_made_up(stores, settings):
    limited_to(settings, "ADDRESS", 3)
    for proxies, forwarded in ((0, "6.6.6.{}"), (2, "6.6.6.{}, 1.2.3.4, 130.176.0.1")):
        settings.SCOREBOARD_TRUSTED_PROXIES = proxies
        answers = [
            update(
                {"userId": f"u{n}", "increment": 1}, f"u{n}", X_Forwarded_For=forwarded.format(n)
            ).status_code
            for n in range(5)
        ]
        assert answers == [200, 200, 200, 429, 429]


def test_a_server_is_limited_by_client_and_by_player_but_not_by_address(stores, settings):
    limited_to(settings, "ADDRESS", 1)
    limited_to(settings, "PLAYER", 2)
    limited_to(settings, "CLIENT", 6)
    scope = "scoreboard/score.write"

    def written(user_id):
        return update({"userId": user_id, "increment": 1}, "server", scope=scope).status_code

    assert [written("ann") for _ in range(3)] == [200, 200, 429]
    assert [written(f"u{n}") for n in range(5)] == [200, 200, 200, 200, 429]


def test_without_redis_the_limits_hold_in_the_process(stores, settings):
    limited_to(settings, "PLAYER", 3)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    stage.forget()
    for _ in range(cache.FAILURES_TO_OPEN):
        stage.scoreboard().cache.breaker.failed()
    answers = [update({"userId": "ann", "increment": 1}).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]


def test_a_look_at_ones_own_standing_is_limited_too(stores, settings):
    limited_to(settings, "PLAYER", 2)
    assert [call("GET", "/score/me", user="ann").status_code for _ in range(3)] == [200, 200, 429]


def test_a_hundred_updates_a_second_from_one_address_pass_by_default(settings):
    assert settings.SCOREBOARD_ADDRESS_RATE >= 100
    assert settings.SCOREBOARD_PLAYER_RATE >= 100

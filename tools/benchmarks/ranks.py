"""Ranks among a million players: memory of the ranking in Redis, time of a fill, and whether ranks are exact.

    python -m tools.benchmarks.ranks [--players 1000000]

Fills a Valkey of its own with made-up players through `scores.stores.ranking.Ranking.merge`, the one door
that the product uses, in batches as the full fill does; DynamoDB is not part of the measurement. Then asks
for the ranks of players chosen at random and compares them with the order computed here.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from itertools import islice
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from tools.devstack.processes.stores import start_valkey

if TYPE_CHECKING:
    from scores.rules.players import Player
    from scores.stores.ranking import Ranking

BATCH = 200
ASKED = 2_000
SEED = 7


def main() -> None:
    options = argparse.ArgumentParser(description="Ranks among a million players.")
    options.add_argument("--players", type=int, default=1_000_000)
    count: int = options.parse_args().players
    valkey = start_valkey(None)
    try:
        os.environ["REDIS_URL"] = valkey.url
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
        measure(count)
    finally:
        valkey.stop()


def measure(count: int) -> None:
    import django

    django.setup()
    from scores.board.scoreboard import get_scoreboard

    board = get_scoreboard().use_generation("benchmark")
    redis: Any = get_scoreboard().cache.client
    players = made_up(count)
    before = redis.info("memory")["used_memory"]
    fill(board, players)
    weighs = redis.info("memory")["used_memory"] - before
    print(f"memory: {weighs / 2**20:,.0f} MiB in Redis, {weighs / count:,.0f} bytes for each player")
    ask(board, players)


def made_up(count: int) -> list[Player]:
    """Players with ids as Cognito gives them; many share a score, some even the millisecond."""
    from scores.rules.players import Player

    dice = random.Random(SEED)
    start = 1_700_000_000_000

    def player(number: int) -> Player:
        user_id = f"{dice.getrandbits(32):08x}-{number:04x}-4000-8000-{dice.getrandbits(48):012x}"
        score = int(dice.paretovariate(1.2) * 10)
        name = f"Player of {number}" if number % 3 == 0 else None
        return Player(user_id, score, 1 + number % 50, start + dice.randrange(count), name)

    return [player(number) for number in range(count)]


def fill(board: Ranking, players: list[Player]) -> None:
    epoch = board.epoch()
    started = time.monotonic()
    rest = iter(players)
    while batch := list(islice(rest, BATCH)):
        board.merge(batch)
    board.mark(epoch, full=True)
    seconds = time.monotonic() - started
    print(f"fill:   {len(players):,} players in {seconds:.1f} s, {len(players) / seconds:,.0f} players/s")


def ask(board: Ranking, players: list[Player]) -> None:
    order = sorted(players, key=lambda player: player.rank_key, reverse=True)
    dice = random.Random(SEED)
    places = [0, 9, 10, len(order) - 1, *(dice.randrange(len(order)) for _ in range(ASKED))]
    times, wrong = [], 0
    for place in places:
        started = time.perf_counter()
        answer = board.place(order[place])
        times.append((time.perf_counter() - started) * 1000)
        wrong += answer != (place + 1, len(order))
    cuts = quantiles(times, n=100)
    print(f"ranks:  {len(places):,} asked, {wrong} wrong; p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

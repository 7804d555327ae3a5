"""`python -m scores.identity.tests.flood PLAYER THREADS CALLS`: asks for that many updates, fast.

Says "ready", waits for a line, then prints how many the limits granted.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import django


def main(user_id: str, threads: int, calls: int) -> int:
    from scores.board.scoreboard import get_scoreboard
    from scores.rules import limits
    from scores.rules.errors import RateLimited
    from scores.stores import cache

    cache.TIMEOUT_S = 10.0  # a reply that is late on a busy machine must be counted, too

    def granted(_: int) -> bool:
        demand = limits.of_update(user_id, address="127.0.0.1")
        try:
            get_scoreboard().ranking().guess(user_id, demand)
        except RateLimited:
            return False
        return True

    get_scoreboard().ranking()
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(granted, range(calls)))


if __name__ == "__main__":
    django.setup()
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

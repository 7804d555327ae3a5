"""`python -m scores.tests.flood PLAYER THREADS CALLS NAME`: updates as fast as they go.

Prints how many counted.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import django


def main(user_id: str, threads: int, calls: int) -> int:
    from scores import limits, services
    from scores.errors import Conflict, RateLimited
    from scores.tests import stage

    def update(number: int) -> bool:
        key = f"{threads}-{sys.argv[-1]}-{number}"
        while True:
            demand = limits.of_update(user_id, address="127.0.0.1")
            caller = stage.player(user_id)
            try:
                services.add_points(user_id=user_id, increment=1, key=key, caller=caller, demand=demand)
            except RateLimited:
                return False
            except Conflict:  # waited too long for its turn: nothing was charged
                continue
            return True

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(update, range(calls)))


if __name__ == "__main__":
    django.setup()
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

"""Rate limits: the callers that a request is charged to, and how much is left to them. Uses no store.

The algorithm is GCRA. A limit of `rate` per second with a `burst` keeps one number for each caller: the time
at which the caller may use a whole burst again. `scores/stores/ranking.lua` keeps it in Redis, in the same
call that begins an update. LocalLimiter keeps it in the process while Redis does not answer.

The answer's headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from django.conf import settings

from scores.rules.errors import RateLimited

#: Callers that one process remembers. It forgets those first that it has not seen for the longest time.
REMEMBERED = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """`rate` requests per second on average, up to `burst` at once."""

    name: str
    rate: float
    burst: int

    @property
    def interval_us(self) -> int:
        """Time (µs) in which one request is earned."""
        return max(1, round(1e6 / self.rate))

    @property
    def window_s(self) -> int:
        """Time (s) in which a whole burst is earned."""
        return math.ceil(self.burst * self.interval_us / 1e6)


@dataclasses.dataclass(frozen=True, slots=True)
class Charge:
    """One request against one limit. `who` is the player, the address or the client that is charged."""

    limit: Limit
    who: str

    @property
    def key(self) -> str:
        return f"{self.limit.name}:{self.who}"


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """The answer to a charge: µs to wait (0: granted), requests left, µs until the whole burst is left."""

    wait_us: int
    remaining: int
    whole_in_us: int


class Demand:
    """All charges of one request. They are granted together or not at all."""

    __slots__ = ("_left", "charges")

    def __init__(self, *charges: Charge) -> None:
        self.charges = charges
        self._left: Sequence[Left] = ()

    def settle(self, left: Sequence[Left]) -> None:
        """Record the answers to the charges. Raises RateLimited when one was refused."""
        self._left = left
        wait_us = max((each.wait_us for each in left), default=0)
        if wait_us:
            raise RateLimited(math.ceil(wait_us / 1e6))

    @property
    def refused(self) -> list[tuple[Charge, Left]]:
        return [(c, left) for c, left in zip(self.charges, self._left, strict=False) if left.wait_us]

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit`; nothing before the demand was settled."""
        if not self._left:
            return {}
        limits = [charge.limit for charge in self.charges]
        policy = ", ".join(f'"{limit.name}";q={limit.burst};w={limit.window_s}' for limit in limits)
        state = ", ".join(
            f'"{limit.name}";r={left.remaining};t={math.ceil(left.whole_in_us / 1e6)}'
            for limit, left in zip(limits, self._left, strict=True)
        )
        return {"RateLimit-Policy": policy, "RateLimit": state}


#: For a request without limits.
NO_DEMAND = Demand()


class LocalLimiter:
    """Limits of one process: used while Redis does not answer, and where a limit per process is enough."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._whole_at: OrderedDict[str, int] = OrderedDict()

    def settle(self, demand: Demand) -> None:
        """Grant or refuse all charges of a demand. Raises RateLimited."""
        now = int(self._clock() * 1e6)
        with self._lock:
            met = [self._meet(charge, now) for charge in demand.charges]
            if not any(left.wait_us for left in met):
                for charge, left in zip(demand.charges, met, strict=True):
                    self._whole_at[charge.key] = now + left.whole_in_us
                    self._whole_at.move_to_end(charge.key)
                while len(self._whole_at) > REMEMBERED:
                    self._whole_at.popitem(last=False)
        demand.settle(met)

    def _meet(self, charge: Charge, now: int) -> Left:
        interval, burst = charge.limit.interval_us, charge.limit.burst
        used = max(0, self._whole_at.get(charge.key, 0) - now)
        if used + interval > burst * interval:
            return Left(used + interval - burst * interval, 0, used)
        return Left(0, (burst * interval - used - interval) // interval, used + interval)


class KnownRefusals:
    """Remembers refused callers until their wait is over, so that a flood does not reach Redis.

    This is exact: a limit that refuses a caller keeps refusing until the wait is over.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: OrderedDict[str, tuple[float, Left]] = OrderedDict()

    def note(self, demand: Demand) -> None:
        now = self._clock()
        with self._lock:
            for charge, left in demand.refused:
                if charge.key not in self._until:
                    self._until[charge.key] = now + left.wait_us / 1e6, left
            while len(self._until) > REMEMBERED:
                self._until.popitem(last=False)

    def check(self, demand: Demand) -> None:
        """Raises RateLimited when a charge of the demand is still refused."""
        for charge in demand.charges if self._until else ():
            until, left = self._until.get(charge.key, (0.0, None))
            wait_us = math.ceil((until - self._clock()) * 1e6)
            if left and wait_us > 0:
                demand.charges = (charge,)
                demand.settle([Left(wait_us, 0, max(0, left.whole_in_us - left.wait_us + wait_us))])
            elif left:
                with self._lock:
                    self._until.pop(charge.key, None)


def of_update(user_id: str, *, address: str, client_id: str | None = None) -> Demand:
    """The charges of an update of `user_id`: to the player, and to the address it comes from.

    With `client_id`, to the player and the client: the site's own server writes for many players from few
    addresses.
    """
    player = Limit("player", settings.SCOREBOARD_PLAYER_RATE, settings.SCOREBOARD_PLAYER_BURST)
    if client_id is not None:
        client = Limit("client", settings.SCOREBOARD_CLIENT_RATE, settings.SCOREBOARD_CLIENT_BURST)
        return Demand(Charge(player, user_id), Charge(client, client_id))
    origin = Limit("address", settings.SCOREBOARD_ADDRESS_RATE, settings.SCOREBOARD_ADDRESS_BURST)
    return Demand(Charge(player, user_id), Charge(origin, address))


def of_read(user_id: str) -> Demand:
    """The charge of a read of the player's own standing."""
    reads = Limit("reads", settings.SCOREBOARD_PLAYER_RATE, settings.SCOREBOARD_PLAYER_BURST)
    return Demand(Charge(reads, user_id))


def of_rename(user_id: str) -> Demand:
    """The charge of a new name, of which each adds an entry to the ledger."""
    names = Limit("names", settings.SCOREBOARD_NAME_RATE, settings.SCOREBOARD_NAME_BURST)
    return Demand(Charge(names, user_id))

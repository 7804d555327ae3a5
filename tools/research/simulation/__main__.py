"""Scale beyond one machine, by simulation: `make simulate`.

- The table and its index under DynamoDB's partition limits (tools/research/simulation/partitions.py), with
  the keys that our code chooses, next to the usual index and the usual remedy.
- The processes between Redis and the viewers (tools/research/simulation/fanout.py), with costs measured on
  this machine: of a delivery by the fan-out benchmark (docs/figures/fanout.json), of Redis at the start of
  this run.

Prints the tables, and writes them and the plots into docs/. `--quick` leaves out the longest runs and
writes nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import django

from tools.devstack.processes.stores import start_valkey
from tools.reporting import pages, plots

if TYPE_CHECKING:
    from tools.research.simulation.fanout import Costs, Tier
    from tools.research.simulation.partitions import Design, World

#: Updates a second → simulated seconds.
RATES = {100: 60, 1_000: 30, 10_000: 12, 100_000: 4}
PLAYERS = (10**6, 10**7, 10**8)
#: Updates a second of one player: as fast as a person finishes things.
PACE = 1.0
SHARDS = (10, 400)
VIEWERS = (10**3, 10**4, 10**5, 10**6, 10**7)
CHANGES = (1.0, 10.0)
#: Simulated seconds of the fan-out tier.
TIER_S = {1.0: 60.0, 10.0: 10.0}

Rows = list[list[str]]
PARTS = ("index", "pace", "events", "splits", "reads", "fan-out")


def main() -> None:
    parser = argparse.ArgumentParser(
        "python3 -m tools simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="up to 10,000 updates/s and 10^6 viewers")
    parser.add_argument("parts", nargs="*", help=f"some of: {' '.join(PARTS)}")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    quick: bool = options.quick
    valkey = start_valkey(None)
    try:
        os.environ["REDIS_URL"] = valkey.url
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
        django.setup()
        costs = measured_costs()
    finally:
        valkey.stop()
    made: dict[str, Callable[[], str]] = {
        "index": lambda: index_grid(quick),
        "pace": paces,
        "events": events,
        "splits": splits,
        "reads": reads,
        "fan-out": lambda: fan_out(costs, quick),
    }
    for name in options.parts or PARTS:
        text = made[name]()
        print(f"\n## {name}\n\n{text}", flush=True)
        if not quick:
            pages.fill("scale.md", name, text)


def progress(text: str) -> None:
    print(f"… {text}", flush=True)


# --- The table and its index ------------------------------------------------------------------------


def designs() -> dict[str, Design]:
    from tools.research.simulation.partitions import constant, sharded, sparse

    several = {f"{shards} shards": sharded(shards) for shards in SHARDS}
    return {"constant key": constant, **several, "sparse (ours)": sparse}


def index_grid(quick: bool) -> str:
    from tools.research.simulation.partitions import WRITE_UNITS, Activity, World

    rows: Rows = []
    accepted: dict[str, list[plots.Point]] = {name: [] for name in designs()}
    for players in PLAYERS[:1] if quick else PLAYERS:
        for rate, seconds in RATES.items():
            if quick and rate > 10_000:
                continue
            cells = []
            for name, design in designs().items():
                began = time.monotonic()
                world = World(Activity(players, rate, PACE), design)
                outcome = world.run(seconds)
                progress(
                    f"{players:,} players, {rate:,}/s, {name}: {outcome.share:.1%} accepted "
                    f"({time.monotonic() - began:.0f} s)"
                )
                if players == PLAYERS[0]:
                    accepted[name].append((rate, outcome.share * rate))
                cells.append(f"{outcome.share:.0%}" if outcome.share > 0.0995 else f"{outcome.share:.1%}")
                cells.append(
                    f"{outcome.units_per_update:.2g}" if name in ("constant key", "sparse (ours)") else ""
                )
            busiest = f"{outcome.hottest / WRITE_UNITS:.0%}"
            rows.append([f"{players:,}", f"{rate:,}", *filter(None, cells), busiest])
    if not quick:
        plot = plots.lines(
            f"Updates accepted, {PLAYERS[0]:,} players",
            "updates/s offered",
            "updates/s accepted",
            accepted,
            log_x=True,
            log_y=True,
        )
        (pages.FIGURES / "scale-index.svg").write_text(plot)
    head = ["players", "updates/s offered", "constant key", "its index units per update"]
    head += [f"{shards} shards" for shards in SHARDS]
    head += ["sparse (ours)", "its index units per update", "its partition in the busiest second"]
    return pages.table(head, rows)


def paces() -> str:
    """How fast the best may play before our index is full."""
    from tools.research.simulation.partitions import WRITE_UNITS, Activity, World, sparse

    rows: Rows = []
    for pace in (0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0):
        outcome = World(Activity(10**7, 10_000, pace), sparse).run(15)
        progress(f"10,000/s, at most {pace}/s of a player: {outcome.share:.1%} accepted")
        busiest = f"{outcome.hottest / WRITE_UNITS:.0%}"
        rows.append([f"{pace:g}", f"{outcome.share:.1%}", f"{outcome.units_per_update:.2g}", busiest])
    head = ["most updates/s of one player", "accepted", "index units per update", "busiest second"]
    return pages.table(head, rows)


def events() -> str:
    """A new season, and minutes without Redis."""
    from tools.research.simulation.partitions import Activity, World, sparse

    rows: Rows = []

    def told(what: str, world: World, seconds: Iterator[int]) -> None:
        for part in seconds:
            begin, outcome = world.now, world.run(part)
            rows.append(
                [what, f"{begin}–{world.now}", f"{outcome.share:.1%}", f"{outcome.units_per_update:.2g}"]
            )
            progress(f"{what}, {rows[-1][1]} s: {outcome.share:.1%} accepted")

    for rate in (300, 1_000, 10_000):
        season = World(Activity(10**6, rate, PACE), sparse, season_s=0)
        told(f"new season, {rate:,}/s", season, iter((4, 4, 12, 40)))
    for rate in (300, 1_000, 10_000):
        away = World(Activity(10**6, rate, PACE), sparse)
        told(f"all is well, {rate:,}/s", away, iter((8,)))
        away.redis_away = True
        told(f"Redis is away, {rate:,}/s", away, iter((60,)))
        away.redis_away = False
        told(f"Redis is back, {rate:,}/s", away, iter((8,)))
        away.floor_known = False
        told(f"no floor at all, {rate:,}/s", away, iter((8,)))
    return pages.table(["what", "second", "accepted", "index units per update"], rows)


def splits() -> str:
    """The effect of splitting a hot item collection by its sort key, where AWS does it."""
    from tools.research.simulation.partitions import Activity, World, constant, sparse

    rows: Rows = []
    for name, design, rate in (("constant key", constant, 10_000), ("sparse (ours)", sparse, 100_000)):
        for parts in (1, 2, 4, 16):
            activity = Activity(10**6, rate, PACE)
            outcome = World(activity, design, splits=_quantiles(activity, design, parts)).run(5)
            progress(f"{name}, {parts} partitions: {outcome.share:.1%} accepted")
            rows.append([name, f"{rate:,}", str(parts), f"{outcome.share:.0%}", str(outcome.hottest)])
    return pages.table(["index", "updates/s", "partitions", "accepted", "units in the busiest second"], rows)


def reads() -> str:
    """Reads from the busiest partitions by the server processes."""
    from tools.research.simulation.reads import with_redis, without_redis

    rows: Rows = []
    for processes in (1, 10, 100, 1_000, 3_000):
        well, away = with_redis(processes), without_redis(processes)
        numbers = (well.state, well.index, well.player, away.index, away.player)
        rows.append([f"{processes:,}", *(f"{n:,.3g}" if n < 10 else f"{n:,.0f}" for n in numbers)])
        rows[-1] += [f"{well.share:.1%}", f"{away.share:.1%}"]
    head = ["processes", "the table's own item", "index", "a top player"]
    head += ["Redis away: index", "a top player", "busiest partition", "Redis away: busiest"]
    return pages.table(head, rows)


def _quantiles(activity: Any, design: Design, parts: int) -> tuple[str, ...]:
    """Sort keys that cut the traffic to the index in equal parts."""
    from tools.research.simulation.partitions import World

    world = World(activity, design, seed=2)
    keys = []
    for _ in range(4_000):
        player = world.player(activity.pick(world.dice))
        key = design(player, world.floor)
        keys.append(key[1] if key else "")
    keys = sorted(filter(None, keys))
    return tuple(keys[len(keys) * part // parts] for part in range(1, parts))


# --- The processes and Redis ------------------------------------------------------------------------


def measured_costs() -> Costs:
    """Redis' own processor time for a board and for a poke, and our process' for a delivery."""
    from scores.board.scoreboard import get_scoreboard
    from scores.rules.players import Player
    from tools.research.simulation.fanout import Costs, measured_delivery_s

    board = get_scoreboard().use_generation("simulation")
    epoch = board.epoch()
    board.merge(
        Player(f"player-{n:032}", 1000 + n, 1, 1_700_000_000_000 + n, "Twelve chars") for n in range(200)
    )
    board.mark(epoch, full=True)
    redis: Any = get_scoreboard().cache.client

    def cost(work: Callable[[], object], times: int) -> float:
        before = redis.info("cpu")
        for _ in range(times):
            work()
        after = redis.info("cpu")
        used: float = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
        return used / times

    board_s = cost(board.board, 5_000)
    subscribers: list[Any] = [redis.pubsub() for _ in range(50)]
    for each in subscribers:
        each.subscribe("poke")
        each.get_message(timeout=1)
    poke_s = cost(lambda: redis.publish("poke", "x" * 60), 1_000) / len(subscribers)
    delivery_s = measured_delivery_s(pages.load("fanout.json"), "ours", 10_000)
    progress(f"a board costs Redis {board_s * 1e6:.0f} µs, a poke {poke_s * 1e6:.1f} µs for each process")
    return Costs(delivery_s, board_s, poke_s)


def fan_out(costs: Costs, quick: bool) -> str:
    from tools.research.simulation.fanout import board_bytes, measured_delivery_s, simulate

    rivals = {
        name: measured_delivery_s(pages.load("fanout.json"), name, 5_000)
        for name in ("socket.io", "group per socket")
    }
    rows: Rows = []
    latency: dict[str, list[plots.Point]] = {}
    needed: dict[str, list[plots.Point]] = {}
    for changes in CHANGES:
        for viewers in VIEWERS[:-1] if quick else VIEWERS:
            tier = simulate(viewers, changes, costs, seconds=TIER_S[changes])
            progress(f"{viewers:,} viewers, {changes:g} changes/s: p99 {tier.p99_ms:.0f} ms")
            others = {name: _processes(viewers, changes, cost) for name, cost in rivals.items()}
            rows.append(_tier_row(viewers, changes, tier, list(others.values())))
            latency.setdefault(f"{changes:g} changes/s", []).append((viewers, tier.p99_ms))
            if changes == CHANGES[-1]:
                for name, processes in {"ours": tier.processes, **others}.items():
                    needed.setdefault(name, []).append((viewers, processes))
    if not quick:
        for name, text in {
            "scale-latency.svg": plots.lines(
                "From a change to the last of all viewers, p99", "viewers", "ms", latency, log_x=True
            ),
            "scale-processes.svg": plots.lines(
                f"Processes for {CHANGES[-1]:g} changes/s",
                "viewers",
                "processes",
                needed,
                log_x=True,
                log_y=True,
            ),
        }.items():
            (pages.FIGURES / name).write_text(text)
    head = ["viewers", "changes/s", "processes", "boards/s each", "Redis messages/s", "Redis busy"]
    head += ["egress Gbit/s", "last viewer p50, p99 (ms)", *(f"processes, {name}" for name in rivals)]
    return (
        f"Measured and put in: {costs.delivery_s * 1e6:.1f} µs a delivery, {costs.board_s * 1e6:.0f} µs of "
        f"Redis a board, {costs.poke_s * 1e6:.1f} µs a poke and process; "
        f"a board is {board_bytes():,} bytes.\n\n" + pages.table(head, rows)
    )


def _processes(viewers: int, changes: float, delivery_s: float) -> int:
    from tools.research.simulation.fanout import planned_processes

    return planned_processes(viewers, changes, delivery_s, 15_000)


def _tier_row(viewers: int, changes: float, tier: Tier, others: list[int]) -> list[str]:
    return [
        f"{viewers:,}",
        f"{changes:g}",
        f"{tier.processes:,}",
        f"{tier.boards_per_s:.2g}",
        f"{tier.redis_messages_per_s:,.0f}",
        f"{tier.redis_busy:.1%}",
        f"{tier.egress_bytes_per_s * 8 / 1e9:.3g}",
        f"{tier.p50_ms:.0f}, {tier.p99_ms:.0f}",
        *(f"{processes:,}" for processes in others),
    ]


if __name__ == "__main__":
    main()

"""Makes the tables, the plots and the capacity model of docs/capacity.md from docs/growth.json."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import pages, plots

#: Of a size: of each figure, the median, the lowest and the highest.
Row = dict[str, dict[str, list[float]]]
#: A vCPU is planned to be this busy.
TARGET = 0.6


def write(results: Mapping[str, Row]) -> None:
    """Tables into docs/capacity.md, plots beside it."""
    for name, text in parts(results).items():
        pages.fill("capacity.md", name, text)
    for name, text in drawings(results).items():
        (pages.DOCS / name).write_text(text)


def parts(results: Mapping[str, Row]) -> dict[str, str]:
    texts = {}
    if "players" in results:
        columns = {
            "updates_per_s": ("updates/s", ",.0f"),
            "cpu_ms_per_update": ("server CPU ms per update", ".2f"),
            "redis_ms_per_update": ("Redis CPU ms per update", ".3f"),
            "p50_ms": ("answer p50 (ms)", ".0f"),
            "rank_p50_ms": ("rank p50 (ms)", ".1f"),
            "cpu_ms_per_rank": ("server CPU ms per rank", ".2f"),
        }
        texts["players"] = (
            table("players", results["players"], columns) + "\n\n" + flatness(results["players"])
        )
    if "viewers" in results:
        columns = {
            "cpu_ms_per_board": ("server CPU ms per update and board", ".1f"),
            "cpu_us_per_delivery": ("of it per delivery (µs)", ".1f"),
            "last_p50_ms": ("last viewer p50 (ms)", ".0f"),
            "last_p99_ms": ("last viewer p99 (ms)", ".0f"),
            "idle_share": ("idle share of the core", ".1%"),
        }
        texts["viewers"] = table("viewers", results["viewers"], columns)
    if "updates" in results:
        columns = {
            "accepted_per_s": ("accepted/s", ",.1f"),
            "refused_share": ("refused (503)", ".0%"),
            "p50_ms": ("answer p50 (ms)", ",.0f"),
            "p99_ms": ("answer p99 (ms)", ",.0f"),
            "cpu_ms_per_update": ("server CPU ms per update", ".1f"),
            "busy": ("core busy", ".0%"),
        }
        texts["updates"] = table("updates/s offered", results["updates"], columns)
    if {"viewers", "updates", "players"} <= set(results):
        texts["model"] = capacity(results)
    return texts


def table(size: str, row: Row, columns: Mapping[str, tuple[str, str]]) -> str:
    head = [size, *(title for title, _ in columns.values())]
    cells = []
    for name, figures in row.items():
        cells.append(
            [f"{int(name):,}", *(cell(figures[field], form) for field, (_, form) in columns.items())]
        )
    return pages.table(head, cells)


def cell(figure: list[float], form: str) -> str:
    middle, low, high = figure
    return f"{middle:{form}}" + (f" ({low:{form}}–{high:{form}})" if low != high else "")


def drawings(results: Mapping[str, Row]) -> dict[str, str]:
    def line(row: str, field: str) -> list[plots.Point]:
        return [(float(size), *figures[field]) for size, figures in results[row].items()]

    drawn = {}
    if "players" in results:
        drawn["growth-players.svg"] = plots.lines(
            "Server CPU per update and per rank",
            "players",
            "ms",
            {"an update": line("players", "cpu_ms_per_update"), "a rank": line("players", "cpu_ms_per_rank")},
            log_x=True,
        )
    if "viewers" in results:
        drawn["growth-viewers.svg"] = plots.lines(
            "From a change to the last viewer",
            "viewers",
            "ms",
            {"p50": line("viewers", "last_p50_ms"), "p99": line("viewers", "last_p99_ms")},
            log_x=True,
        )
        drawn["growth-deliveries.svg"] = plots.lines(
            "Server CPU for an update and its board",
            "viewers",
            "ms",
            {"an update and its board": line("viewers", "cpu_ms_per_board")},
        )
    if "updates" in results:
        drawn["growth-updates.svg"] = plots.lines(
            "Updates accepted",
            "updates/s offered",
            "updates/s accepted",
            {"accepted": line("updates", "accepted_per_s")},
        )
        drawn["growth-latency.svg"] = plots.lines(
            "Time to the answer",
            "updates/s offered",
            "ms",
            {"p50": line("updates", "p50_ms"), "p99": line("updates", "p99_ms")},
            log_x=True,
            log_y=True,
        )
    return drawn


# --- The model --------------------------------------------------------------------------------------


def costs(results: Mapping[str, Row]) -> tuple[float, float, float]:
    """Seconds of a vCPU for an update, for making a board, and for one delivery of it.

    An update at the highest rate that keeps the core below nine tenths busy; a delivery is the slope over
    the numbers of viewers, from the fewest to the most.
    """
    update = [f for f in results["updates"].values() if f["busy"][0] < 0.9][-1]["cpu_ms_per_update"][0]
    sizes = sorted(results["viewers"], key=int)
    few, many = (results["viewers"][size]["cpu_ms_per_board"][0] for size in (sizes[0], sizes[-1]))
    delivery = (many - few) / (int(sizes[-1]) - int(sizes[0]))
    board = max(0.0, few - update - delivery * int(sizes[0]))
    return update / 1000, board / 1000, delivery / 1000


def capacity(results: Mapping[str, Row]) -> str:
    update, board, delivery = costs(results)
    sizes = sorted(results["viewers"], key=int)
    per_socket = results["viewers"][sizes[-1]]["idle_share"][0] / int(sizes[-1])
    rows = []
    for viewers, boards in ((0, 0), (1_000, 1), (1_000, 10), (5_000, 1), (5_000, 10), (15_000, 1)):
        left = TARGET - viewers * per_socket - boards * (board + viewers * delivery)
        rows.append([f"{viewers:,}", str(boards), f"{max(0.0, left / update):,.0f}"])
    return (
        f"An update costs {update * 1000:.1f} ms of a vCPU, making a board {board * 1000:.1f} ms, one "
        f"delivery {delivery * 1e6:.1f} µs, an idle socket {per_socket * 1e6:.0f} µs a second. So a "
        f"vCPU that is {TARGET:.0%} busy carries:\n\n"
        + pages.table(["viewers", "boards/s", "and updates/s"], rows)
    )


def flatness(players: Row) -> str:
    """How much dearer an update is with most players than with fewest (1: flat)."""
    few, *_, many = sorted(players, key=int)
    ratio = players[many]["cpu_ms_per_update"][0] / players[few]["cpu_ms_per_update"][0]
    return f"An update among {int(many):,} players costs {ratio:.2f} times what it costs among {int(few):,}."

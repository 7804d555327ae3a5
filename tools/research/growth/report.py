"""Makes the tables, the plots and the capacity model of docs/capacity.md from docs/figures/growth.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any

from tools.reporting import machine, pages, plots

#: Of a size: of each figure, the median, the lowest and the highest.
Row = dict[str, dict[str, list[float]]]
#: A vCPU is planned to be this busy.
TARGET = 0.6


def write(results: Mapping[str, Any]) -> None:
    """Tables into docs/capacity.md, plots into docs/figures/."""
    for name, text in parts(results).items():
        pages.fill("capacity.md", name, text)
    for name, text in drawings(results).items():
        (pages.FIGURES / name).write_text(text)


def parts(results: Mapping[str, Any]) -> dict[str, str]:
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
            "cpu_ms_per_update": ("server CPU ms per update", ".1f"),
            "cpu_ms_with_board": ("the same with a board", ".1f"),
            "last_p50_ms": ("last viewer p50 (ms)", ".0f"),
            "last_max_ms": ("slowest board (ms)", ".0f"),
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
    for row, conditions in results.get("conditions", {}).items():
        texts[row] += f"\n\n{machine.sentence(conditions)}"
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


def drawings(results: Mapping[str, Any]) -> dict[str, str]:
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
            {"p50": line("viewers", "last_p50_ms"), "slowest board": line("viewers", "last_max_ms")},
            log_x=True,
        )
        drawn["growth-deliveries.svg"] = plots.lines(
            "Server CPU for an update and its board",
            "viewers",
            "ms",
            {
                "an update and its board": line("viewers", "cpu_ms_with_board"),
                "an update without": line("viewers", "cpu_ms_per_update"),
            },
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


@dataclass(frozen=True)
class Costs:
    """Seconds of a vCPU: for an update, for making a board, for one delivery of it; and in each second for
    an idle process and for an open socket."""

    update: float
    board: float
    delivery: float
    idle: float
    socket: float


def costs(results: Mapping[str, Any]) -> Costs:
    """An update at the highest rate of which nothing was refused. A board costs what updates with one cost
    more than those without; that, and what an idle process uses, are lines over the numbers of viewers."""
    rates = sorted(results["updates"], key=int)
    update = [
        results["updates"][rate] for rate in rates if results["updates"][rate]["refused_share"][0] == 0
    ][-1]
    viewers = [float(size) for size in results["viewers"]]
    rows = list(results["viewers"].values())

    def line(values: list[float]) -> tuple[float, float]:
        """(for each viewer, at no viewer)"""
        fitted = linear_regression(viewers, values)
        return max(0.0, fitted.slope), max(0.0, fitted.intercept)

    delivery, board = line([row["cpu_ms_with_board"][0] - row["cpu_ms_per_update"][0] for row in rows])
    socket, idle = line([row["idle_share"][0] for row in rows])
    return Costs(update["cpu_ms_per_update"][0] / 1000, board / 1000, delivery / 1000, idle, socket)


def capacity(results: Mapping[str, Any]) -> str:
    found = costs(results)
    rows = []
    for viewers, boards in ((0, 0), (1_000, 1), (1_000, 10), (5_000, 1), (5_000, 10), (15_000, 1)):
        left = TARGET - found.idle - viewers * found.socket
        left -= boards * (found.board + viewers * found.delivery)
        rows.append([f"{viewers:,}", str(boards), f"{left / found.update:,.0f}" if left > 0 else "too much"])
    return (
        f"An update costs {found.update * 1000:.1f} ms of a vCPU, a board {found.board * 1000:.1f} ms, "
        f"one delivery {found.delivery * 1e6:.1f} µs; in each second an idle process "
        f"{found.idle * 1000:.0f} ms and an open socket {found.socket * 1e6:.0f} µs. So a vCPU that is "
        f"{TARGET:.0%} busy carries:\n\n" + pages.table(["viewers", "boards/s", "and updates/s"], rows)
    )


def flatness(players: Row) -> str:
    """How much dearer an update is with most players than with fewest (1: flat)."""
    few, *_, many = sorted(players, key=int)
    ratio = players[many]["cpu_ms_per_update"][0] / players[few]["cpu_ms_per_update"][0]
    return f"An update among {int(many):,} players costs {ratio:.2f} times what it costs among {int(few):,}."

"""Makes the tables of docs/fanout.md and its plot from docs/figures/fanout.json."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from tools.reporting import machine, pages

RESULTS = pages.FIGURES / "fanout.json"
PAGE = pages.DOCS / "fanout.md"
PLOT = pages.FIGURES / "fanout.svg"
BEGIN, END = "<!-- tables: made by tools/benchmarks/fanout/report.py -->\n", "<!-- end of tables -->\n"
LIMIT = "asyncio loop"

Results = list[dict[str, Any]]


def report() -> None:
    results: Results = json.loads(RESULTS.read_text())
    sizes = sorted({r["sockets"] for r in results})
    tables = "\n".join(table([r for r in results if r["sockets"] == size], size) for size in sizes)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + versions(results) + tables + END + rest.partition(END)[2])
    PLOT.write_text(plot(results, sizes))


def versions(results: Results) -> str:
    """A paragraph for each machine and set of versions that was measured: usually one."""
    return "".join(f"\n{line}\n" for line in dict.fromkeys(r["versions"] for r in results if "versions" in r))


def table(results: Results, sockets: int) -> str:
    head = (
        f"\n**{sockets:,} sockets**\n\n"
        "| server | deliveries per CPU second | of the asyncio loop | deliveries/s "
        "| last viewer p50, p99 (ms) | opened per CPU second | KiB per socket | load client busy |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    rows = "".join(row(results, name) for name in dict.fromkeys(r["server"] for r in results))
    said = "".join(f"\n{machine.sentence(r['conditions'])}\n" for r in results if "conditions" in r)
    return head + rows + said


def row(results: Results, name: str) -> str:
    def cell(field: str, form: str) -> str:
        numbers = values(results, name, field)
        if not numbers:
            return "–"
        middle, low, high = median(numbers), min(numbers), max(numbers)
        return f"{middle:{form}}" + (f" ({low:{form}}–{high:{form}})" if len(numbers) > 1 else "")

    last = sorted(us / 1000 for r in results if r["server"] == name for us in r.get("last_us", ()))
    late = f"{last[len(last) // 2]:.0f}, {last[int(len(last) * 0.99)]:.0f}" if last else "–"
    cells = [
        name,
        cell("deliveries_per_cpu_s", ",.0f"),
        share(results, name),
        cell("deliveries_per_s", ",.0f"),
        late,
        cell("opened_per_cpu_s", ",.0f"),
        cell("kib_per_socket", ".1f"),
        cell("client_busy", ".0%"),
    ]
    return "| " + " | ".join(cells) + " |\n"


def share(results: Results, name: str) -> str:
    """The median over the rounds of the ratio to the limit in the same round."""
    field = "deliveries_per_cpu_s"
    pairs = zip(values(results, name, field), values(results, LIMIT, field), strict=False)
    ratios = [mine / limit for mine, limit in pairs]
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"


def values(results: Results, name: str, field: str) -> list[float]:
    return [r[field] for r in results if r["server"] == name and field in r]


def plot(results: Results, sizes: list[int]) -> str:
    """Bars of deliveries per CPU second: one group for each number of sockets."""
    names = list(dict.fromkeys(r["server"] for r in results))
    colours = ["#0b6", "#8c9", "#bbb", "#c93", "#e7b04c", "#469", "#234"]
    highest = max(median(found) for n in names for s in sizes if (found := _at(results, n, s)))
    width, row_height, left = 760, 16, 150
    parts, y = [], 10
    for size in sizes:
        parts.append(f'<text x="0" y="{y + 12}" font-weight="bold">{size:,} sockets</text>')
        y += 20
        for name, colour in zip(names, colours, strict=False):
            found = _at(results, name, size)
            if found:
                length = median(found) / highest * (width - left - 90)
                parts.append(
                    f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{name}</text>'
                    f'<rect x="{left}" y="{y + 2}" width="{length:.0f}" height="{row_height - 4}" '
                    f'fill="{colour}"/>'
                    f'<text x="{left + length + 5:.0f}" y="{y + 12}">{median(found):,.0f}</text>'
                )
                y += row_height
        y += 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _at(results: Results, name: str, size: int) -> list[float]:
    return values([r for r in results if r["sockets"] == size], name, "deliveries_per_cpu_s")

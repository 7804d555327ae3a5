"""Makes the tables of docs/fanout.md and its plot from docs/fanout.json."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS = DOCS / "fanout.json"


def report() -> None:
    results = json.loads(RESULTS.read_text())
    for sockets in sorted({r["sockets"] for r in results}):
        rows = [r for r in results if r["sockets"] == sockets]
        base = median(values(rows, "asyncio loop", "deliveries_per_cpu_s"))
        base_s = median(values(rows, "asyncio loop", "deliveries_per_s"))
        for name in dict.fromkeys(r["server"] for r in rows):
            last = sorted(us for r in rows if r["server"] == name for us in r.get("last_us", ()))
            cells = [spread(values(rows, name, field)) for field in FIELDS]
            ratio = median(values(rows, name, "deliveries_per_cpu_s")) / base
            ratio_s = median(values(rows, name, "deliveries_per_s")) / base_s
            print(
                sockets,
                f"{name:18}",
                f"{ratio:.3f} {ratio_s:.3f}",
                *cells,
                [x / 1000 for x in quantile(last)],
            )


FIELDS = (
    "deliveries_per_s",
    "deliveries_per_cpu_s",
    "client_busy",
    "opened_per_s",
    "opened_per_cpu_s",
    "kib_per_socket",
)


def values(rows, name, field):
    return [r[field] for r in rows if r["server"] == name and field in r]


def spread(numbers):
    if not numbers:
        return "-"
    return f"{median(numbers):.4g} ({min(numbers):.4g}-{max(numbers):.4g})"


def quantile(numbers):
    return [numbers[len(numbers) // 2], numbers[int(len(numbers) * 0.99)]] if numbers else []

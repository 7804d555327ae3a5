"""Line plots as SVG, with nothing but the standard library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

#: (x, y) or (x, y, lowest, highest): the last two draw the range of the rounds.
Point = tuple[float, ...]

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 66, 30, 40, 46
COLOURS = ("#0a7d4f", "#c4581b", "#3b5bdb", "#8a3ffc", "#6b7280", "#b08900", "#0891b2")
GRID, INK, PAPER = "#e5e7eb", "#1f2937", "#ffffff"


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[Point]],
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """One plot: a line, its points and their ranges for each of the named `series`.

    The vertical axis begins at 0, so that flat looks flat, unless it is logarithmic. On a logarithmic
    axis values must be above 0.
    """
    points = [point for line in series.values() for point in line]
    across = _axis([p[0] for p in points], log_x, from_zero=False)
    up = _axis([y for p in points for y in p[1:]], log_y, from_zero=True)
    legend_rows = (len(series) + 2) // 3 if len(series) > 1 else 0
    top = TOP + 16 * legend_rows

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + across.share(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up.share(y) * (HEIGHT - BOTTOM - top),
        )

    parts = [f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>']
    for y in up.ticks:
        height = at(across.low, y)[1]
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="{GRID}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{number(y)}</text>')
    for x in across.ticks:
        along = at(x, up.low)[0]
        parts.append(
            f'<line x1="{along:.1f}" x2="{along:.1f}" y1="{top}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>'
            f'<text x="{along:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{number(x)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    middle = (top + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
        f"{escape(y_label)}</text>"
    )
    for turn, (name, line) in enumerate(series.items()):
        colour = COLOURS[turn % len(COLOURS)]
        if len(series) > 1:
            x, y = LEFT + (turn % 3) * 158, TOP + 16 * (turn // 3)
            parts.append(f'<rect x="{x}" y="{y - 8}" width="12" height="4" fill="{colour}"/>')
            parts.append(f'<text x="{x + 17}" y="{y - 2}">{escape(name)}</text>')
        path = " ".join("{:.1f},{:.1f}".format(*at(p[0], p[1])) for p in line)
        width = 2 + 2 * (len(series) - 1 - turn)  # so that one behind another is still seen
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        for p in line:
            x_at, y_at = at(p[0], p[1])
            parts.append(f'<circle cx="{x_at:.1f}" cy="{y_at:.1f}" r="3" fill="{colour}"/>')
            if len(p) == 4:
                low, high = at(p[0], p[2])[1], at(p[0], p[3])[1]
                place = f'x1="{x_at:.1f}" x2="{x_at:.1f}" y1="{low:.1f}" y2="{high:.1f}"'
                parts.append(f'<line {place} stroke="{colour}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(parts)}</svg>\n'
    )


class _axis:  # noqa: N801 - reads as a function
    """From the lowest to the highest value, with round ticks."""

    def __init__(self, values: Sequence[float], log: bool, from_zero: bool) -> None:
        self.log = log
        lowest, highest = min(values), max(values)
        if log:
            self.low: float = 10.0 ** math.floor(math.log10(lowest))
            self.high: float = max(10.0 ** math.ceil(math.log10(highest)), self.low * 10)
            decades = round(math.log10(self.high / self.low))
            self.ticks = [self.low * 10.0**n for n in range(0, decades + 1, 1 + decades // 9)]
        else:
            step = _round_step((highest - (0 if from_zero else lowest)) or highest or 1.0)
            self.low = 0.0 if from_zero else math.floor(lowest / step) * step
            self.high = max(math.ceil(highest * (1.001 if from_zero else 1) / step) * step, self.low + step)
            self.ticks = [self.low + n * step for n in range(round((self.high - self.low) / step) + 1)]

    def share(self, value: float) -> float:
        if self.log:
            return math.log10(value / self.low) / math.log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def _round_step(extent: float) -> float:
    rough = extent / 5
    power: float = 10.0 ** math.floor(math.log10(rough))
    return min(power * step for step in (1.0, 2.0, 5.0, 10.0) if power * step >= rough)


def number(value: float) -> str:
    """A number as a reader wants it: 1,000 · 2.5 · 10M."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"

"""Line plots as SVG, with nothing but the standard library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    legend_rows = (len(series) + 2) // 3 if len(series) > 1 else 0
    frame = _Frame(
        across=_Axis([p[0] for p in points], log_x, from_zero=False),
        up=_Axis([y for p in points for y in p[1:]], log_y, from_zero=True),
        top=TOP + 16 * legend_rows,
    )
    parts = [f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>']
    parts += [*_grid(frame), *_labels(frame, x_label, y_label)]
    for turn, (name, line) in enumerate(series.items()):
        if len(series) > 1:
            parts += _legend(turn, name)
        width = 2 + 2 * (len(series) - 1 - turn)  # a line behind another one stays visible
        parts += _line(frame, line, COLOURS[turn % len(COLOURS)], width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(parts)}</svg>\n'
    )


class _Axis:
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
        """Where the value is between both ends of the axis: 0 to 1."""
        if self.log:
            return math.log10(value / self.low) / math.log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class _Frame:
    """Both axes, and the height (px) at which the plot begins below its legend."""

    across: _Axis
    up: _Axis
    top: int

    def x(self, value: float) -> float:
        return LEFT + self.across.share(value) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.up.share(value) * (HEIGHT - BOTTOM - self.top)


def _grid(frame: _Frame) -> Iterator[str]:
    """A line and a number for each tick."""
    for tick in frame.up.ticks:
        height = frame.y(tick)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{number(tick)}</text>'
    for tick in frame.across.ticks:
        along, bottom = frame.x(tick), HEIGHT - BOTTOM
        yield f'<line x1="{along:.1f}" x2="{along:.1f}" y1="{frame.top}" y2="{bottom}" stroke="{GRID}"/>'
        yield f'<text x="{along:.1f}" y="{bottom + 16}" text-anchor="middle">{number(tick)}</text>'


def _labels(frame: _Frame, x_label: str, y_label: str) -> Iterator[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'
    middle = (frame.top + HEIGHT - BOTTOM) / 2
    yield f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
    yield f"{escape(y_label)}</text>"


def _legend(turn: int, name: str) -> Iterator[str]:
    x, y = LEFT + (turn % 3) * 158, TOP + 16 * (turn // 3)
    yield f'<rect x="{x}" y="{y - 8}" width="12" height="4" fill="{COLOURS[turn % len(COLOURS)]}"/>'
    yield f'<text x="{x + 17}" y="{y - 2}">{escape(name)}</text>'


def _line(frame: _Frame, line: Sequence[Point], colour: str, width: int) -> Iterator[str]:
    """The points, connected, each with the range of its rounds."""
    path = " ".join(f"{frame.x(p[0]):.1f},{frame.y(p[1]):.1f}" for p in line)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
    for p in line:
        x = frame.x(p[0])
        yield f'<circle cx="{x:.1f}" cy="{frame.y(p[1]):.1f}" r="3" fill="{colour}"/>'
        if len(p) == 4:
            place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{frame.y(p[2]):.1f}" y2="{frame.y(p[3]):.1f}"'
            yield f'<line {place} stroke="{colour}"/>'


def _round_step(extent: float) -> float:
    rough = extent / 5
    power: float = 10.0 ** math.floor(math.log10(rough))
    return min(power * step for step in (1.0, 2.0, 5.0, 10.0) if power * step >= rough)


def number(value: float) -> str:
    """A number for a reader: 1,000 · 2.5 · 10M."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"

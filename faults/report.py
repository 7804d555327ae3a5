"""The table at the end of a programme."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from faults.run import Result

COLUMNS = (
    ("", 4),
    ("fault", 62),
    ("attempted", 9),
    ("acknowledged", 12),
    ("counted", 7),
    ("lost", 4),
    ("doubled", 7),
    ("unavailable s", 13),
    ("right after s, p50/max", 22),
    ("memory MiB", 10),
    ("503 %", 5),
    ("broken", 6),
)


def table(results: Iterable[Result]) -> str:
    """All results as aligned text, with notes and violations below."""
    results = list(results)
    lines = ["  ".join(_cells([name for name, _ in COLUMNS]))]
    lines += ["  ".join(_cells(_line(result))) for result in results]
    for result in results:
        lines += [f"{result.name}: {note}" for note in result.notes]
    for result in results:
        lines += [f"{result.name} BROKEN {violation}" for violation in result.violations]
    return "\n".join(lines)


def markdown(results: Iterable[Result]) -> str:
    """The same as a table of Markdown."""
    head = "| " + " | ".join(name for name, _ in COLUMNS) + " |"
    rule = "|" + "|".join("---" for _ in COLUMNS) + "|"
    return "\n".join([head, rule, *("| " + " | ".join(_line(result)) + " |" for result in results)])


def _cells(texts: list[str]) -> list[str]:
    return [
        text.ljust(width) if number < 2 else text.rjust(width)
        for number, (text, (_, width)) in enumerate(zip(texts, COLUMNS, strict=True))
    ]


def _line(result: Result) -> list[str]:
    return [
        result.name,
        result.title,
        str(result.attempted),
        str(result.acknowledged),
        str(result.counted),
        str(result.lost),
        str(result.doubled),
        f"{result.unavailable_s:.1f}",
        f"{_seconds(result.converged_p50_s)} / {_seconds(result.converged_max_s)}",
        f"{result.memory_mib:.0f}",
        f"{100 * result.share_503:.1f}",
        str(len(result.violations)),
    ]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"


def save(results: Iterable[Result], path: Path, **more: Any) -> None:
    """Write the results as JSON."""
    import dataclasses

    found = [dataclasses.asdict(result) for result in results]
    path.write_text(json.dumps({**more, "results": found}, indent=1, ensure_ascii=False) + "\n")

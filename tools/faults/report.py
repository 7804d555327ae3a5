"""The table at the end of a suite."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from tools.devstack.install.files import ROOT
from tools.faults.checks.result import Result

RESULTS = ROOT / "docs" / "figures" / "faults.json"
PAGE = ROOT / "docs" / "reliability.md"

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


def keep(results: Iterable[Result], seed: int) -> None:
    """Put the results into docs/figures/faults.json, replacing earlier ones, and into the page."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for result in results:
        kept[result.name] = {"seed": seed, **dataclasses.asdict(result)}
    ordered = dict(sorted(kept.items(), key=lambda item: int(item[0][1:])))
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    write_between("faults", markdown(ordered.values()))


def write_between(name: str, text: str) -> None:
    """Put `text` between the marks of this name in docs/reliability.md."""
    begin, end = f"<!-- {name}: made by `make faults` and `make soak` -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(before + begin + "\n" + text.strip() + "\n\n" + end + rest.partition(end)[2])


def markdown(kept: Iterable[dict[str, Any]]) -> str:
    """The table and the notes below it as Markdown."""
    kept = list(kept)
    lines = ["| " + " | ".join(name for name, _ in COLUMNS) + " |"]
    lines.append("|---|---|" + "---:|" * (len(COLUMNS) - 2))
    notes = []
    for fields in kept:
        result = Result(**{name: fields[name] for name in Result.__dataclass_fields__})
        lines.append("| " + " | ".join(_line(result)) + " |")
        notes += [f"- {result.name}: {note}" for note in result.notes]
    return "\n".join([*lines, "", *notes])


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

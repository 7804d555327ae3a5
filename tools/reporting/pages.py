"""Parts of a page in docs/ that a command writes: between two comments, which stay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: The figures behind the pages (JSON), and their plots (SVG).
FIGURES = DOCS / "figures"


def fill(page: str, part: str, text: str) -> None:
    """Put `text` between `<!-- part -->` and `<!-- end of part -->` of docs/`page`.

    Raises ValueError when the page has no such part.
    """
    path = DOCS / page
    before, begin, rest = path.read_text().partition(f"<!-- {part} -->\n")
    _, end, after = rest.partition(f"<!-- end of {part} -->")
    if not begin or not end:
        raise ValueError(f"docs/{page} has no part {part!r}")
    path.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def save(name: str, results: Any) -> None:
    """Keep results in docs/figures/`name`, for the next report."""
    (FIGURES / name).write_text(json.dumps(results, indent=1) + "\n")


def load(name: str) -> Any:
    return json.loads((FIGURES / name).read_text())

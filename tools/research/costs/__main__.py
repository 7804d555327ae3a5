"""`make costs`: computes docs/costs.md from prices.py and from what was measured here."""

from __future__ import annotations

from tools.reporting.pages import DOCS
from tools.research.costs.page import document

if __name__ == "__main__":
    (DOCS / "costs.md").write_text(document())
    print(document())

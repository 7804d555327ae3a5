"""What page tests look at, and what should be there."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tools.testing.browser import Site


def fill(site: Site, players: int = 12) -> None:
    """USER-1 leads USER-2 by 10 points, and so on."""
    for place in range(1, players + 1):
        site.add(f"USER-{place}", 10 * (players + 1 - place))


def rows(page: Page) -> Locator:
    return page.locator("tbody tr")


def shown(page: Page) -> list[tuple[str, str, str]]:
    """(rank, label, score) of each row, top to bottom in the document."""
    return [
        (
            row.locator(".rank-number").inner_text(),
            row.locator(".name").inner_text(),
            row.locator(".number").inner_text(),
        )
        for row in rows(page).all()
    ]


def truth(site: Site) -> list[tuple[str, str, str]]:
    top10 = site.call("GET", "score/top10").json()
    return [(str(r["rank"]), r["name"] or f"Player {r['userId']}", f"{r['score']:,}") for r in top10]


def expect_truth(page: Page, site: Site, timeout_ms: int = 5000) -> None:
    for index, (rank, label, score) in enumerate(truth(site)):
        row = rows(page).nth(index)
        expect(row.locator(".name")).to_have_text(label, timeout=timeout_ms)
        expect(row.locator(".number")).to_have_text(score, timeout=timeout_ms)
        expect(row.locator(".rank-number")).to_have_text(rank, timeout=timeout_ms)
    expect(rows(page)).to_have_count(len(truth(site)))

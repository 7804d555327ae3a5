"""How the page fits, reads and scores: one board, looked at in many ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tools.testing.browser import Site, Visitor, running_site
from tools.testing.pages import expect_truth, fill, rows
from tools.testing.webtools import LighthouseFailed, axe_findings, lighthouse_scores


@pytest.fixture(scope="module")
def gallery(running_stores: None) -> Iterator[Site]:
    """A server with a board of difficult names; the tests of this module only look at it."""
    from tools.testing import stage

    stage.reset()
    with running_site() as site:
        fill(site)
        for user, name in [
            ("USER-1", "Maximiliane-Theresia Hohenlohe-W"),
            ("USER-4", "W" * 32),
            ("USER-5", "👩🏽‍🚒 🏳️‍🌈 ❤️ Ω"),
            ("USER-6", "نورا الخطيب"),
        ]:
            assert site.rename(user, name).status_code == 200
        site.add("USER-1", 1_234_567)
        yield site


@pytest.mark.parametrize(
    ("width", "height", "query"),
    [(320, 640, ""), (390, 844, ""), (1280, 800, ""), (1920, 1080, "?view=wall"), (1080, 1920, "?view=wall")],
)
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_it_fits_from_phone_to_wall(
    gallery: Site, visitor: Visitor, width: int, height: int, query: str, direction: str
):
    page = visitor.open(
        gallery.url + query, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    page.evaluate("(direction) => { document.documentElement.dir = direction }", direction)
    expect_truth(page, gallery)
    wide, high = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert wide <= width
    if query:
        assert high <= height
    boxes: list[Any] = [row.bounding_box() for row in rows(page).all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    second, first, third = boxes[1], boxes[0], boxes[2]
    left, right = (second, third) if direction == "ltr" else (third, second)
    assert left["x"] < first["x"] < right["x"]
    assert first["y"] < second["y"] < third["y"]


def test_text_at_twice_its_size_is_not_cut(gallery: Site, visitor: Visitor):
    page = visitor.open(gallery.url, viewport={"width": 1280, "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    cut = page.evaluate("""() => [...document.querySelectorAll('.number, .rank-number, .name, h1')]
        .filter((e) => getComputedStyle(e).overflow !== 'visible')
        .filter((e) => e.scrollWidth > e.clientWidth + 1).length""")
    assert cut == 0


def test_it_is_a_table_to_who_cannot_see_it(gallery: Site, visitor: Visitor):
    page = visitor.open(gallery.url)
    table = page.get_by_role("table", name="Top 10, best first")
    expect(table.get_by_role("columnheader")).to_have_count(4)
    expect(table.get_by_role("row")).to_have_count(11)
    second = table.get_by_role("row").nth(2)
    expect(second.get_by_role("rowheader", name="Player USER-2", exact=True)).to_be_visible()
    expect(second.get_by_role("cell").first).to_have_text("2")
    expect(second.get_by_role("cell").last).to_have_text("110")
    assert page.locator("[aria-live], [role=status], [role=alert]:not([hidden])").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?view=wall"])
def test_axe_finds_nothing(gallery: Site, visitor: Visitor, scheme: Any, query: str):
    page = visitor.open(gallery.url + query, color_scheme=scheme)
    assert axe_findings(page) == []
    if query:
        return
    page.get_by_role("button", name="Join as a guest").click()
    page.get_by_role("button", name="Score 10 points").click()
    page.get_by_role("button", name="Choose a name").click()
    page.get_by_label("Name on the board").fill("Admin")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This name is reserved")).to_be_visible()
    assert axe_findings(page) == []
    visitor.complaints.clear()


@pytest.mark.alone
def test_lighthouse_is_content(gallery: Site):
    scores: dict[str, float] = {}
    for attempt in range(3):  # a busy machine can only lower the figures, or lose Lighthouse its Chromium
        try:
            scores = lighthouse_scores(gallery.url)
        except LighthouseFailed as error:
            print(f"attempt {attempt + 1}: {error}")
            continue
        if min(scores.values()) >= 0.95:
            break
    assert set(scores) == {"performance", "accessibility", "best-practices"}
    assert min(scores.values()) >= 0.95, scores

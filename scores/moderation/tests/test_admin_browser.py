"""A moderator in a real browser, while somebody else watches the board."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tools.testing import stage
from tools.testing.browser import Visitor
from tools.testing.moderators import PASSWORD, AdminSite, admin_site
from tools.testing.pages import shown
from tools.testing.webtools import axe_findings

#: Every open page shows a moderation within this time (ms), from its answer on.
SHOWN_WITHIN_MS = 1000


@pytest.fixture(scope="module")
def site(running_stores: None, tmp_path_factory: Any) -> Iterator[AdminSite]:
    stage.reset()
    with admin_site(f"sqlite:///{tmp_path_factory.mktemp('admin')}/admin.sqlite3") as site:
        yield site


@pytest.fixture
def admin(site: AdminSite, visitor: Visitor) -> Page:
    """The first page of the admin site, for who has signed in as a moderator."""
    return sign_in(site, visitor)


def sign_in(site: AdminSite, visitor: Visitor, account: str = "moderator", **context: Any) -> Page:
    page = visitor.open(f"{site.url}admin/", live=False, **context)
    page.get_by_label("Username").fill(account)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Moderation")).to_be_visible()
    return page


_tests = itertools.count(1)


def twelve(site: AdminSite, name: str) -> None:
    """`name`-1 leads, 10 points before `name`-2 and so on, all above those of earlier tests."""
    base = 1_000_000 * next(_tests)
    for place in range(1, 13):
        site.add(f"{name}-{place}", base + 10 * (13 - place))


def row(page: Page, user_id: str) -> Any:
    return page.locator(f'tbody tr[data-user="{user_id}"]')


def test_each_action_is_seen_by_who_watches_the_board(site: AdminSite, visitor: Visitor, admin: Page):
    twelve(site, "ann")
    watcher = visitor.open(site.url)
    ann, eleventh = row(watcher, "ann-1"), row(watcher, "ann-11")
    expect(ann.locator(".number")).to_have_text("1,000,120")

    def act(action: str, seen: Callable[[], None], **fields: str) -> None:
        admin.goto(f"{site.url}admin/scores/player/id/ann-1/")
        admin.get_by_role("link", name=f"{action}…", exact=True).click()
        for label, value in fields.items():
            admin.get_by_label(label).fill(value)
        if action == "Ban":
            admin.get_by_label("Duration").select_option("for good")
        if action == "Erase":
            admin.get_by_label("I know that").check()
        admin.get_by_label("Reason").fill("seen by many")
        with admin.expect_navigation():
            admin.get_by_role("button", name=action, exact=True).click()
        seen()
        expect(admin.locator(".messagelist")).to_be_visible()

    def scored(text: str) -> Callable[[], None]:
        return lambda: expect(ann.locator(".number")).to_have_text(text, timeout=SHOWN_WITHIN_MS)

    def named(text: str) -> Callable[[], None]:
        return lambda: expect(ann.locator(".name")).to_have_text(text, timeout=SHOWN_WITHIN_MS)

    def gone() -> None:
        expect(ann).to_have_count(0, timeout=SHOWN_WITHIN_MS)
        expect(eleventh.locator(".rank-number")).to_have_text("10", timeout=SHOWN_WITHIN_MS)
        assert not re.search("banned|hidden by|erased|moderat", watcher.locator("main").inner_text())

    def back() -> None:
        expect(ann.locator(".rank-number")).to_have_text("1", timeout=SHOWN_WITHIN_MS)
        expect(eleventh).to_have_count(0, timeout=SHOWN_WITHIN_MS)

    act("Adjust", scored("1,000,115"), Amount="-5")
    act("Rename", named("Ann the Fair"), Name="Ann the Fair")
    act("Hide", gone)
    act("Unhide", back)
    act("Ban", gone)
    act("Unban", back)
    act("Erase", gone)


def test_the_board_after_it_is_shown_while_one_types(site: AdminSite, admin: Page):
    twelve(site, "bob")
    admin.goto(f"{site.url}admin/scores/player/id/bob-1/")
    admin.get_by_role("link", name="Adjust…").click()
    preview = admin.get_by_role("region", name="The board after it")
    expect(preview).to_contain_text("Fill in the form")
    admin.get_by_label("Amount").fill("-100000000")
    expect(preview).to_contain_text("The score would leave")
    admin.get_by_label("Amount").fill("-25")
    after = preview.get_by_role("table", name="After").locator("tbody tr")
    expect(after.nth(0)).to_contain_text("bob-2")
    expect(after.nth(2)).to_contain_text(re.compile(r"bob-1\s*\d,000,095\s*▼2"))
    admin.get_by_label("Amount").fill("-115")
    expect(after.last).to_contain_text(re.compile(r"bob-11\s*\d,000,020\s*new"))
    assert site.call("GET", "score/top10").json()[0]["userId"] == "bob-1"  # looking changes nothing


def test_many_are_banned_with_progress_and_a_result_each(site: AdminSite, visitor: Visitor, admin: Page):
    twelve(site, "cid")
    watcher = visitor.open(site.url)
    admin.get_by_role("link", name="All by rank").click()
    for number in range(1, 12):
        admin.get_by_label(f"Select Player cid-{number}", exact=True).check()
    expect(admin.get_by_text("11 selected")).to_be_visible()
    admin.get_by_role("button", name="Ban selected…").click()
    expect(admin.get_by_role("table", name="After").locator("tbody tr").first).to_contain_text("cid-12")
    site.add("cid-5", 1)
    admin.get_by_label("Reason").fill("one script played them all")
    admin.get_by_role("button", name="Ban 11 players").click()
    expect(admin.get_by_role("progressbar")).to_be_visible()
    expect(admin.get_by_role("status")).to_have_text(re.compile("10 done, 1 not"), timeout=30_000)
    changed = admin.locator("tr", has=admin.get_by_role("link", name="Player cid-5", exact=True))
    expect(changed).to_contain_text("Has changed since you looked")
    expect(row(watcher, "cid-1")).to_have_count(0, timeout=SHOWN_WITHIN_MS)
    expect(row(watcher, "cid-12").locator(".rank-number")).to_have_text("2", timeout=SHOWN_WITHIN_MS)
    assert [label for _, label, _ in shown(watcher)][:2] == ["Player cid-5", "Player cid-12"]
    admin.goto(f"{site.url}admin/scores/player/?state=banned")
    expect(admin.get_by_role("link", name=re.compile("Player cid-"))).to_have_count(10)


def test_it_works_without_scripts(site: AdminSite, visitor: Visitor):
    twelve(site, "dan")
    page = sign_in(site, visitor, java_script_enabled=False)
    page.get_by_label("Find a player").fill("dan-9")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Player dan-9").click()
    page.get_by_role("link", name="Adjust…").click()
    page.get_by_label("Amount").fill("-1")
    page.get_by_role("button", name="Show the board after it").click()
    expect(page.get_by_role("table", name="After")).to_contain_text("000,039")
    page.get_by_label("Reason").fill("one too many")
    page.get_by_role("button", name="Adjust", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("000,039")


PAGES = {
    "first page": "",
    "by rank": "scores/player/",
    "queue": "scores/player/?state=banned",
    "search": "scores/player/?q=eve-3",
    "player": "scores/player/id/eve-3/",
    "adjust": "scores/player/id/eve-3/adjust/",
    "ban": "scores/player/id/eve-3/ban/",
    "erase": "scores/player/id/eve-3/erase/",
    "not found": "scores/player/id/nobody/",
    "password": "password_change/",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_it_fits_a_phone(site: AdminSite, visitor: Visitor, scheme: Any):
    twelve(site, "eve")
    page = visitor.open(f"{site.url}admin/", live=False, color_scheme=scheme)
    assert axe_findings(page) == []
    page = sign_in(site, visitor, color_scheme=scheme)
    found = {}
    for name, path in PAGES.items():
        visitor.complaints.clear()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{site.url}admin/{path}")
        found[name] = heard(visitor)
        found[name] += axe_findings(page)
        page.set_viewport_size({"width": 360, "height": 740})
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            found[name].append("wider than a phone")
    # axe itself adds a style element to measure with, which the page's policy refuses.
    visitor.complaints.clear()
    assert {name: problems for name, problems in found.items() if problems} == {}


def heard(visitor: Visitor) -> list[str]:
    """What the browser has complained about, but for pages that are meant to be missing."""
    return [text for text in visitor.complaints if "404" not in text]


def test_djangos_own_pages_live_with_the_policy(site: AdminSite, visitor: Visitor):
    page = sign_in(site, visitor, account="superuser")
    for path in (
        "auth/user/",
        "auth/user/add/",
        "auth/group/",
        "auth/group/1/change/",
        "axes/accessattempt/",
    ):
        page.goto(f"{site.url}admin/{path}")
        expect(page.locator("#content h1")).to_be_visible()
    assert heard(visitor) == []

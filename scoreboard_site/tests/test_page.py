"""The page in a real Chromium."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from scoreboard_site.tests.conftest import Site


def test_an_update_reaches_two_open_tabs(site: Site, chromium: Browser):
    for place in range(1, 13):
        site.add(f"USER-{place}", 100 - place)
    tabs = [chromium.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(site.url)
        expect(tab.get_by_role("status")).to_have_text("Live")
        expect(tab.locator("tbody tr")).to_have_count(10)
    site.add("USER-12", 500)
    for tab in tabs:
        expect(tab.locator("tbody tr").first).to_contain_text("Player USER-12")
        expect(tab.locator("tbody tr .number").first).to_have_text("588")
        expect(tab.locator("tbody tr")).to_have_count(10)
        tab.close()

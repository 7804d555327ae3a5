"""The page in a real Chromium: live, honest about its connection, the same for everybody."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from tools.devstack.install.chromium import FLAGS, find_chromium
from tools.testing.browser import Site, Visitor, running_site
from tools.testing.pages import expect_truth, fill, rows, shown, truth


@pytest.fixture(scope="module")
def board(running_stores: None) -> Iterator[Site]:
    """One server for all tests of this module; each brings somebody else to the top."""
    from tools.testing import stage

    stage.reset()
    with running_site() as site:
        fill(site)
        yield site


def lift(site: Site, user_id: str) -> None:
    """Make `user_id` the leader."""
    top10 = site.call("GET", "score/top10").json()
    own = next((row["score"] for row in top10 if row["userId"] == user_id), 0)
    site.add(user_id, top10[0]["score"] - own + 10)


def test_an_update_reaches_two_open_tabs_and_moves_the_row(board: Site, visitor: Visitor):
    tabs = [visitor.open(board.url) for _ in range(2)]
    before = rows(tabs[0]).first.bounding_box()
    lift(board, "USER-12")
    board.add("USER-7", 35)
    for tab in tabs:
        expect(rows(tab).first.locator(".name")).to_have_text("Player USER-12")
        expect(rows(tab).first.locator(".move")).to_have_text("newnew on the board")
        expect_truth(tab, board)
        expect(rows(tab).filter(has_text="USER-7").locator(".words")).to_have_text("up 2")
    tabs[0].wait_for_timeout(600)
    assert rows(tabs[0]).first.bounding_box() == before
    lanes = [row.bounding_box()["y"] for row in rows(tabs[0]).all()[3:]]  # type: ignore[index]
    assert lanes == sorted(lanes)
    assert {urlsplit(url).netloc for url in visitor.requests} == {urlsplit(board.url).netloc}


def test_a_hail_of_updates_ends_in_the_true_order(board: Site, visitor: Visitor):
    page = visitor.open(board.url)
    for turn in range(40):
        board.add(f"USER-{1 + turn * 7 % 12}", 1 + turn * 13 % 50)
    expect_truth(page, board)


def test_the_page_is_live_again_after_its_server_was_killed(board: Site, visitor: Visitor):
    page = visitor.open(board.url)
    board.part.kill()
    expect(page.get_by_role("status")).to_have_text("Reconnecting")
    expect(rows(page)).to_have_count(10)
    board.part.start()
    board.part.wait_ready()
    lift(board, "USER-9")
    expect_truth(page, board)
    expect(page.get_by_role("status")).to_have_text("Live")
    visitor.complaints.clear()  # the browser's own, about the refused connections


def test_without_sockets_it_polls_with_the_etag(board: Site, visitor: Visitor):
    page = visitor.open("about:blank", live=False)
    statuses: list[int] = []
    page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=1011))
    page.on("response", lambda answer: statuses.extend([answer.status] if "top10" in answer.url else []))
    page.add_init_script("Math.random = () => 0")
    page.goto(board.url)
    expect(page.get_by_role("status")).to_have_text("Live, every few seconds", timeout=10_000)
    lift(board, "USER-9")
    expect_truth(page, board)
    page.wait_for_timeout(2500)
    assert {200, 304} == set(statuses)


def test_silence_is_called_stale_and_ends_by_itself(board: Site, visitor: Visitor):
    page = visitor.open("about:blank", live=False)
    page.clock.install()
    page.add_init_script("Math.random = () => 0")
    page.goto(board.url)
    expect(page.get_by_role("status")).to_have_text("Live")
    os.killpg(board.part.pid, signal.SIGSTOP)
    try:
        page.clock.fast_forward(39_000)
        page.clock.fast_forward(3_000)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"^Stale since \d\d:\d\d:\d\d$"))
        expect(page.locator(".state")).to_have_attribute("data-tone", "stale")
    finally:
        os.killpg(board.part.pid, signal.SIGCONT)
    expect(page.get_by_role("status")).to_have_text("Live", timeout=20_000)
    visitor.complaints.clear()


def test_a_hidden_tab_lets_go_and_is_back_at_once(board: Site, visitor: Visitor):
    page = visitor.open("about:blank", live=False)
    page.clock.install()
    page.goto(board.url)
    expect(page.get_by_role("status")).to_have_text("Live")
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'));"
    page.evaluate(hide % "true" + tell)
    page.clock.fast_forward(11_000)
    expect(page.get_by_role("status")).to_have_text("Paused")
    lift(board, "USER-9")
    page.evaluate(hide % "false" + tell)
    expect(page.get_by_role("status")).to_have_text("Live")
    page.clock.run_for(2_000)
    expect_truth(page, board)


def test_an_older_board_never_replaces_a_newer_one(board: Site, visitor: Visitor):
    page = visitor.open("about:blank", live=False)
    sockets: list[WebSocketRoute] = []
    page.route_web_socket(re.compile("/ws/"), lambda socket: sockets.append(socket))
    page.goto(board.url)
    frame = '{"type":"board","revision":%d,"asOf":"2099-01-01T00:00:00.000Z","top10":[%s]}'
    row = '{"rank":1,"userId":"ann","name":"%s","score":1}'
    sockets[0].send(frame % (2**52 + 2, row % "newer"))
    sockets[0].send(frame % (2**52 + 1, row % "older"))
    expect(rows(page).locator(".name")).to_have_text(["newer"])
    page.wait_for_timeout(100)
    expect(rows(page).locator(".name")).to_have_text(["newer"])


def test_without_javascript_it_shows_the_board_and_refreshes_itself(board: Site, chromium: Browser):
    # Not Playwright's own switch: with that one the page's <noscript> is left out as well.
    off = chromium.browser_type.launch(
        executable_path=find_chromium(), args=[*FLAGS, "--blink-settings=scriptEnabled=false"]
    )
    page = off.new_page()
    page.goto(board.url)
    assert shown(page) == truth(board)
    expect(page.get_by_role("status")).to_have_text("Refreshed every 5 seconds", use_inner_text=True)
    expect(page.get_by_role("button")).to_have_count(0)
    lift(board, "USER-9")
    expect(rows(page).first.locator(".name")).to_have_text("Player USER-9", timeout=8000)
    off.close()


@pytest.mark.parametrize("reduced", [False, True])
def test_motion_is_the_compositors_work_and_only_for_who_wants_it(
    board: Site, visitor: Visitor, reduced: bool
):
    page = visitor.open(board.url, reduced_motion="reduce" if reduced else "no-preference")
    page.evaluate("""() => {
        window.animated = new Set();
        const animate = Element.prototype.animate;
        Element.prototype.animate = function (frames, options) {
            for (const frame of frames) Object.keys(frame).forEach((name) => window.animated.add(name));
            return animate.call(this, frames, options);
        };
    }""")
    last = truth(board)[-1][1]
    lift(board, last.removeprefix("Player "))
    expect(rows(page).first.locator(".name")).to_have_text(last)
    expect_truth(page, board)
    animated = set(page.evaluate("[...window.animated]"))
    assert animated == (set() if reduced else {"transform", "opacity", "offset"})

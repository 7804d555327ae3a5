"""Frames per second of the page while its rows slide: `make bench-frames`.

A real Chromium shows the page of a server of its own, on a phone's screen and on a desktop's. Every half
second the last row goes to the top, so that all ten rows slide and scores count up all the time. The page's
own animation frames are timed, and how many of them had a row on its way, next to those of the same page with
nothing moving, in rounds that take turns. Chromium paints without a GPU here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from statistics import median

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tools.benchmarks.product import Writer, server, server_token, stores
from tools.devstack.install.chromium import FLAGS, find_chromium

SCREENS = {"phone": (390, 844), "desktop": (1280, 900)}
ROUNDS = 5
ROUND_MS = 4000
STEP_MS = 500
#: A frame is late when it came this much (ms) after the one before: one of 60 per second was left out.
LATE_MS = 25.0

_TIMES = """(ms) => new Promise((resolve) => {
    const times = [];
    let sliding = 0;
    const note = (now) => {
        times.push(now);
        if (document.getAnimations().some((animation) => animation.id === "slide")) sliding++;
        if (now - times[0] < ms) requestAnimationFrame(note); else resolve({ times, sliding });
    };
    requestAnimationFrame(note);
})"""


class Board:
    """Ten players; each turn moves the last one to the top."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._turns = itertools.cycle(range(10))
        self._scores = [writer.add(f"USER-{place}", 1000 - place) for place in range(10)]

    def turn(self) -> None:
        player = next(self._turns)
        lead = max(self._scores) + 10 - self._scores[player]
        self._scores[player] = self._writer.add(f"USER-{player}", lead)


def frames(page: Page, board: Board | None) -> tuple[list[float], int]:
    """One round: the times (ms) between its frames, and how many of those had a row on its way."""
    page.evaluate(f"void (window.times = ({_TIMES})({ROUND_MS}))")  # without waiting for it
    for _ in range(ROUND_MS // STEP_MS):
        if board:
            board.turn()
        page.wait_for_timeout(STEP_MS)
    seen = page.evaluate("window.times")
    return [later - earlier for earlier, later in itertools.pairwise(seen["times"])], seen["sliding"]


def measure(browser: Browser, url: str, screen: str, board: Board) -> None:
    """Print the figures of one screen."""
    width, height = SCREENS[screen]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(url)
    expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.locator("tbody tr")).to_have_count(10)
    rates: dict[str, list[float]] = {"moving": [], "still": []}
    late, sliding, total = Counter[str](), Counter[str](), Counter[str]()
    for _ in range(ROUNDS):
        for kind in rates:
            gaps, slid = frames(page, board if kind == "moving" else None)
            rates[kind].append(1000 * len(gaps) / sum(gaps))
            late[kind] += sum(gap > LATE_MS for gap in gaps)
            sliding[kind] += slid
            total[kind] += len(gaps)
            page.wait_for_timeout(1000)
    page.close()
    for kind, found in rates.items():
        print(
            f"{screen:8} {kind:7} {median(found):5.1f} frames/s ({min(found):.1f}-{max(found):.1f}), "
            f"late {late[kind] / total[kind]:.1%}, with a row on its way {sliding[kind] / total[kind]:.0%}",
            flush=True,
        )


def main() -> None:
    print(__doc__.partition("\n\n")[2], flush=True)
    with stores() as (env, _, _), server(env, None) as web, sync_playwright() as playwright:
        board = Board(Writer(web.port, server_token(env)))
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for screen in SCREENS:
            measure(browser, f"http://127.0.0.1:{web.port}/", screen, board)
        browser.close()


if __name__ == "__main__":
    main()

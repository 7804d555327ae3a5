"""Pictures of the page for the README, taken from a running demo.

    python -m tools.devstack.screenshots [--port 8000]

Waits until the board is full and things move, then writes docs/images/scoreboard-*.png.
"""

from __future__ import annotations

import argparse
import os

from playwright.sync_api import Browser, expect, sync_playwright

from tools.devstack.console import say
from tools.devstack.install.chromium import FLAGS, find_chromium
from tools.devstack.install.files import ROOT

#: name → (width, height, colour scheme, address behind the origin)
PICTURES = {
    "light": (1080, 980, "light", ""),
    "dark": (1080, 980, "dark", ""),
    "phone": (390, 844, "dark", ""),
    "wall": (1600, 900, "dark", "?view=wall"),
}
#: Let the players move for a while (ms), so that the marks of movement have something to say.
WATCH_MS = 20_000


def main() -> None:
    options = argparse.ArgumentParser(
        "python -m tools.devstack.screenshots", description="Take the README's pictures."
    )
    options.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    options.add_argument("--watch-ms", type=int, default=WATCH_MS)
    chosen = options.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        take(browser, f"http://127.0.0.1:{chosen.port}/", chosen.watch_ms)
        browser.close()


def take(browser: Browser, url: str, watch_ms: int) -> None:
    """Open all views of `url`, watch, and picture them."""
    folder = ROOT / "docs" / "images"
    folder.mkdir(exist_ok=True)
    pages = {}
    for name, (width, height, scheme, address) in PICTURES.items():
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        pages[name] = context.new_page()
        pages[name].goto(url + address)
        expect(pages[name].get_by_role("status")).to_have_text("Live", timeout=30_000)
        expect(pages[name].locator("tbody tr")).to_have_count(10, timeout=60_000)
    next(iter(pages.values())).wait_for_timeout(watch_ms)
    for name, page in pages.items():
        path = folder / f"scoreboard-{name}.png"
        page.screenshot(path=path)
        say(f"docs: {path.name}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

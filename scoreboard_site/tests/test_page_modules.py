"""The page's modules without a browser: their own unit tests, what they share with the server, their size."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from devstack.files import ROOT
from realtime import events
from scoreboard_site.tests.webtools import NODE
from scores import presentation
from scores.pages import MODULES

HERE = Path(__file__).parent
STATIC = ROOT / "static" / "scoreboard"
BUDGET_BYTES = 30_000

IDS = ["USER-111", "a", "x" * 12, "x" * 13, "3f1c9a52-7a1e-4c8e-9f63-1a2b3c4d5e6f", "Z_.:@-9" * 18]


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NODE, *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT)


@pytest.mark.parametrize("path", sorted((HERE / "js").glob("*.test.mjs")), ids=lambda path: path.name)
def test_the_modules_pass_their_own_tests(path: Path):
    done = node("--test", str(path))
    assert done.returncode == 0, done.stdout[-6000:]


def test_page_and_server_call_and_dress_players_alike():
    script = f"""
        import {{ label, silk, number, SILKS }} from {json.dumps(str(STATIC / "format.js"))};
        const ids = {json.dumps(IDS)};
        const labels = ids.map((userId) => label({{ userId, name: null }}));
        const numbers = [0, 999, 1000, 9007199254740991].map(number);
        console.log(JSON.stringify([labels, ids.map(silk), numbers, SILKS]));
    """
    done = node("--input-type=module", "-e", script)
    assert json.loads(done.stdout) == [
        [presentation.label(user_id, None) for user_id in IDS],
        [presentation.silk(user_id) for user_id in IDS],
        [f"{value:,}" for value in (0, 999, 1000, 9007199254740991)],
        presentation.SILKS,
    ]


def test_the_page_knows_the_close_codes_of_the_server():
    script = f"""
        import * as feed from {json.dumps(str(STATIC / "feed.js"))};
        console.log(JSON.stringify([feed.SERVICE_RESTART, feed.UNAUTHORIZED, feed.NOT_FOUND]));
    """
    codes = json.loads(node("--input-type=module", "-e", script).stdout)
    assert codes == [events.SERVICE_RESTART, events.UNAUTHORIZED, events.NOT_FOUND]


def test_every_pattern_that_can_be_worn_is_in_the_style_sheet():
    style = (STATIC / "scoreboard.css").read_text()
    assert {int(number) for number in re.findall(r"\.silk-(\d+)", style)} == set(range(presentation.SILKS))


def test_all_modules_are_announced_to_the_browser():
    assert sorted(MODULES) == sorted(path.stem for path in STATIC.glob("*.js") if path.stem != "main")


def test_code_and_style_stay_small():
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.glob("*.[jc]s*")}
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_who_draws_knows_no_network_and_who_fetches_no_page(path: Path):
    text = path.read_text()
    draws = re.search(r"\b(document|querySelector|createElement|textContent)\b", text)
    fetches = re.search(r"\b(fetch|WebSocket|XMLHttpRequest)\(", text)
    assert path.name == "main.js" or not (draws and fetches)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)

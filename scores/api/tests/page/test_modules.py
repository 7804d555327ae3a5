"""The page's modules without a browser: their own unit tests, what they share with the server, their size."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from realtime import events
from scores.api import display
from scores.api.page import MODULES
from tools.devstack.install.chromium import NODE
from tools.devstack.install.files import ROOT

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
        [display.label(user_id, None) for user_id in IDS],
        [display.silk(user_id) for user_id in IDS],
        [f"{value:,}" for value in (0, 999, 1000, 9007199254740991)],
        display.SILKS,
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
    assert {int(number) for number in re.findall(r"\.silk-(\d+)", style)} == set(range(display.SILKS))


def test_all_modules_are_announced_to_the_browser():
    imported, seen = {"main"}, set[str]()
    while imported - seen:
        name = min(imported - seen)
        seen.add(name)
        imported |= set(re.findall(r'from "\./(\w+)\.js"', (STATIC / f"{name}.js").read_text()))
    assert sorted(MODULES) == sorted(imported - {"main"})


def test_code_and_style_stay_small():
    files = [f"{name}.js" for name in ("main", *MODULES)] + ["variables.css", "scoreboard.css"]
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes())) for name in files}
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes


def test_modules_find_each_other_under_hashed_names(tmp_path: Path):
    environment = os.environ | {
        "DEBUG": "false",
        "SECRET_KEY": "for this test",
        "ALLOWED_HOSTS": "localhost",
        "COGNITO_USER_POOL": "eu-west-1_x",
        "COGNITO_CLIENT_IDS": "x",
        "SCOREBOARD_TEST_STATIC_ROOT": str(tmp_path),
    }
    script = """
import os, pathlib, django
from django.conf import settings
settings.STATIC_ROOT = pathlib.Path(os.environ["SCOREBOARD_TEST_STATIC_ROOT"])
django.setup()
from django.core.management import call_command
call_command("collectstatic", interactive=False, verbosity=0)
"""
    environment["DJANGO_SETTINGS_MODULE"] = "scoreboard_site.settings"
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, check=True, timeout=60)
    manifest = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    main = (tmp_path / manifest["scoreboard/main.js"]).read_text()
    imported = re.findall(r'from "\./([^"]+)"', main)
    assert len(imported) == 5
    assert {f"scoreboard/{name}" for name in imported} <= set(manifest.values()) - set(manifest)


@pytest.mark.parametrize("name", MODULES)
def test_who_draws_knows_no_network_and_who_fetches_no_page(name: str):
    text = (STATIC / f"{name}.js").read_text()
    draws = re.search(r"\b(document|querySelector|createElement|textContent)\b", text)
    fetches = re.search(r"\b(fetch|WebSocket|XMLHttpRequest)\(", text)
    assert not (draws and fetches)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)

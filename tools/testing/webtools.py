"""axe-core and Lighthouse, from the npm registry, once, into the user's cache; pinned by a lock file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tools.devstack.install.chromium import FLAGS, NODE, find_chromium
from tools.devstack.install.files import cache_folder, locked, need_space
from tools.devstack.install.programs import find_npm

PINS = Path(__file__).with_name("webtools")
_MEGABYTES = 400
_QUIET = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-update-notifier"]


def tools() -> Path:
    """The folder `node_modules` with the tools in it."""
    lock = (PINS / "package-lock.json").read_bytes()
    cache = cache_folder()
    folder = cache / f"webtools-{hashlib.sha256(lock).hexdigest()[:12]}"
    with locked(cache / "webtools.lock"):
        if not folder.exists():
            need_space(cache, _MEGABYTES)
            with tempfile.TemporaryDirectory(prefix="fetching-webtools-", dir=cache) as temporary:
                made = Path(temporary, "tools")
                shutil.copytree(PINS, made)
                command = [*find_npm(Path(temporary, "node")), "ci", *_QUIET, "--loglevel=error"]
                subprocess.run(command, cwd=made, check=True, timeout=300)
                made.rename(folder)
    return folder / "node_modules"


def axe_findings(page: Page) -> list[str]:
    """What axe-core objects to, with the elements concerned; best practices included."""
    # Through the debugger, as the page's own policy admits no foreign script.
    session = page.context.new_cdp_session(page)
    source = (tools() / "axe-core" / "axe.min.js").read_text()
    session.send("Runtime.evaluate", {"expression": source})
    answer = session.send(
        "Runtime.evaluate",
        {"expression": "axe.run(document)", "awaitPromise": True, "returnByValue": True},
    )
    found: list[dict[str, Any]] = answer["result"]["value"]["violations"]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


class LighthouseFailed(Exception):
    """Lighthouse made no report: what it printed."""


def lighthouse_scores(url: str) -> dict[str, float]:
    """Lighthouse's score (0 to 1) of each category, on its simulated slow phone. Raises LighthouseFailed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        run = subprocess.run(
            [
                NODE,
                str(tools() / "lighthouse" / "cli" / "index.js"),
                url,
                "--quiet",
                "--output=json",
                f"--output-path={report}",
                "--only-categories=performance,accessibility,best-practices",
                f"--chrome-flags={' '.join(['--headless', *FLAGS])}",
            ],
            env=os.environ | {"CHROME_PATH": find_chromium(), "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if run.returncode:
            raise LighthouseFailed(run.stdout + run.stderr)
        categories = json.loads(report.read_text())["categories"]
    return {name: category["score"] for name, category in categories.items()}

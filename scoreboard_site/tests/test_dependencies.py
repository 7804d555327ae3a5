"""What is installed: locked with hashes, as required, and not older than the fixes we know of."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tools.devstack.install.files import ROOT
from tools.devstack.install.lock import LOCKS

#: The first versions without what is named.
FLOORS = {
    "daphne": "4.2.2",  # CVE-2026-44545, CVE-2026-44546
    "django": "5.2.13",  # CVE-2026-3902, CVE-2026-4277, CVE-2026-4292
    "djangorestframework": "3.17.2",  # CVE-2026-73228
    "pyjwt": "2.15",  # header validation
}


def locked(name):
    text = (ROOT / name).read_text()
    found = re.findall(
        r"^([\w.-]+)==([\w.]+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.M
    )
    packages = {package.lower(): version for package, version, _ in found}
    assert len(packages) == len(re.findall("^[^ #\n]", text, re.M)), "a line without a hash"
    return packages


def numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)]


@pytest.mark.parametrize(("source", "target"), LOCKS.items())
def test_what_is_required_is_locked(source, target):
    packages = locked(target)
    required = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", (ROOT / source).read_text(), re.M)
    assert required
    for package, version in required:
        assert packages[package.lower()] == version, f"run `python -m tools.devstack.install.lock`: {package}"


@pytest.mark.parametrize("target", LOCKS.values())
def test_what_is_locked_has_the_known_fixes(target):
    packages = locked(target)
    for package in FLOORS.keys() & packages.keys():
        assert numbers(packages[package]) >= numbers(FLOORS[package]), package


def test_the_product_has_all_packages_whose_fixes_we_know():
    assert locked("requirements.lock").keys() >= FLOORS.keys()


def test_bandit_has_no_finding_that_is_not_explained():
    command = [sys.executable, "-m", "bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive"]
    tools = [f"tools/{room}" for room in ("api", "devstack", "smoke")]
    rooms = ["scores", "realtime", "scoreboard_site", *tools, "manage.py"]
    done = subprocess.run(
        [*command, *rooms, "--exclude", "*/tests/*"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout

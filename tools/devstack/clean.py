"""`make clean`: removes what the stack made; data and the shared download only when the answer is yes."""

import contextlib
import shutil
import sys
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.files import ROOT, cache_folder, is_used, try_lock
from tools.devstack.install.packages import VENV

TOOL_CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache")
MADE = (".venv", "staticfiles", ".cache/benchmarks", *TOOL_CACHES)


def clean(data_dir: Path) -> int:
    """Remove environment and caches, then ask about the data folder and the download cache.

    StackError, with nothing removed, while a stack or another command runs from this checkout.
    """
    if VENV.exists() and is_used(VENV):
        raise StackError(f"a stack or a test is running from {VENV}: stop it first; nothing was removed")
    for name in MADE:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for folder in [*ROOT.glob("*/**/__pycache__"), *ROOT.glob("__pycache__")]:
        shutil.rmtree(folder, ignore_errors=True)
    say("removed .venv and caches")
    if data_dir.exists() and _yes(f"remove the scores and all other data in {data_dir}?"):
        _refuse_if_used(data_dir)
        shutil.rmtree(data_dir)
        say(f"removed {data_dir}")
    cache = cache_folder()
    if any(cache.iterdir()) and _yes(f"remove the downloads in {cache}, which all checkouts share?"):
        shutil.rmtree(cache)
        say(f"removed {cache}")
    return 0


def _refuse_if_used(data_dir: Path) -> None:
    for lock in (data_dir / ".lock", data_dir / "demo" / ".lock"):
        if lock.exists() and try_lock(lock) is None:
            raise StackError(f"{lock.parent} is in use by a running stack: stop it first")


def _yes(question: str) -> bool:
    """Ask on the terminal; without one the answer is no."""
    if not sys.stdin.isatty():
        say(f"kept (no terminal to ask on): {question}")
        return False
    with contextlib.suppress(EOFError):
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    return False

"""Messages of the stack on its terminal."""

import contextlib
import sys
import threading
from collections.abc import Callable

_printing = threading.Lock()


def say(text: str) -> None:
    """Print one line of progress on standard error, so that standard output stays the command's own.

    Errors of the terminal are ignored, here and in `tell`: the stack goes on without one.
    """
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def log_of(name: str) -> Callable[[str], None]:
    """A sink that prints a part's lines with its name in front."""
    return lambda line: tell(line, name)


def tell(text: str, name: str = "stack") -> None:
    """Print one line of one source."""
    with _printing, contextlib.suppress(OSError, ValueError):
        print(f"{name:<9}| {text}", flush=True)

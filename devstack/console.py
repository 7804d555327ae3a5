"""What the stack tells the person who started it."""

import sys


def say(text: str) -> None:
    """Print one line of progress on standard error, so that standard output stays the command's own."""
    print(text, file=sys.stderr, flush=True)

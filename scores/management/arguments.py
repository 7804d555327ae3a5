"""Types of command-line arguments that several commands use."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def instant(text: str) -> int:
    """An ISO 8601 date, or date and time, as ms since 1970. UTC unless it has another offset."""
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is not a time like 2030-01-31 or 2030-01-31T18:00Z") from None


def duration(text: str) -> int:
    """A whole number of minutes, hours, days or weeks, such as 30m, 12h, 7d or 4w, as ms."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if not match:
        raise ArgumentTypeError(f"{text!r} is not a duration like 30m, 12h, 7d or 4w")
    return int(match[1]) * _UNITS_MS[match[2]]

"""Reads settings from the environment, strictly. A bad value is one line that names the variable.

django-environ is not strict: it takes a value that begins with `$` for the name of another variable, keeps
the blanks around the items of a list, reads any odd word as false, and drops letters from numbers.
"""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_BOOLEANS = dict.fromkeys(("true", "on", "ok", "yes", "y", "1"), True) | dict.fromkeys(
    ("false", "off", "no", "n", "0"), False
)
#: All variables with this prefix are ours, so an unknown one is a mistake.
PREFIX = "SCOREBOARD_"
#: How similar (0 … 1) a variable must be to one of ours to be called a misspelling of it.
_SIMILAR, _SIMILAR_WITHOUT_PREFIX = 0.8, 0.9
#: Read by the tools and the tests, not by the settings.
_OF_TOOLS = {"SCOREBOARD_CACHE_DIR", "SCOREBOARD_MACHINE_EXAMPLES", "SCOREBOARD_TEST_STATIC_ROOT"}


class Environment(environ.Env):  # type: ignore[misc]
    """The values that settings ask for; `asked` holds their names."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """The value of `var`, parsed, or the default as it is. Raises ImproperlyConfigured."""
        self.asked.add(var)
        if var not in self.ENVIRON:
            return default
        value = self.ENVIRON[var].strip()
        parse, wanted = _PARSERS.get(cast, (str, "text"))
        try:
            return parse(value)
        except (ValueError, KeyError):
            raise ImproperlyConfigured(f"{var} is {value[:100]!r}; it must be {wanted}.") from None

    def choice(self, var: str, default: str, choices: Collection[str]) -> str:
        """One of `choices`, whatever its case. Raises ImproperlyConfigured."""
        value = str(self.get_value(var, str, default))
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise ImproperlyConfigured(f"{var} is {value[:100]!r}; it must be one of {', '.join(choices)}.")

    def pairs(self, var: str) -> dict[str, str]:
        """`id:secret,id:secret` as a dictionary. Raises ImproperlyConfigured, without the value."""
        pairs = [pair.partition(":") for pair in self.get_value(var, list, [])]
        if not all(key.strip() and secret.strip() for key, _, secret in pairs):
            raise ImproperlyConfigured(f"{var} must be of the form id:secret,id:secret.")
        return {key.strip(): secret.strip() for key, _, secret in pairs}

    def database(self, var: str, default: str) -> dict[str, Any]:
        """A database URL as Django's settings. Raises ImproperlyConfigured, without the value."""
        try:
            with warnings.catch_warnings(action="ignore"):
                database = dict(self.db(var, default))
        except (ValueError, KeyError, TypeError, AttributeError, ImproperlyConfigured):
            database = {}
        if not database.get("ENGINE") and self.ENVIRON.get(var, default):
            form = "postgres://user:password@host:5432/name"
            raise ImproperlyConfigured(f"{var} must be a database URL like {form}.")
        return database

    def misspelt(self) -> dict[str, str]:
        """Variables that look like ours and that no setting has asked for, each with the likely name."""
        return misspelt(self.ENVIRON, self.asked | _OF_TOOLS)


def misspelt(given: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Names of `given` that look like one of `known` but are not; the value is the likely one, or empty."""
    ours = sorted(name for name in known if name.startswith(PREFIX))
    found = {}
    for name in sorted(set(given) - set(known)):
        if not re.fullmatch(r"[A-Za-z_]\w{0,63}", name):
            continue
        prefixed = name.upper().startswith(PREFIX)
        cutoff = _SIMILAR if prefixed else _SIMILAR_WITHOUT_PREFIX
        likely = difflib.get_close_matches(name.upper(), ours, n=1, cutoff=cutoff)
        if prefixed or likely:
            found[name] = likely[0] if likely else ""
    return found


def _finite(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


_PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    bool: (lambda value: _BOOLEANS[value.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (_finite, "a number"),
    list: (lambda value: [item.strip() for item in value.split(",") if item.strip()], "a list"),
}

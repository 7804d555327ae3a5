"""Removes secrets and personal data from text before it is logged. Imports nothing of ours.

The text may come from a client, so each pattern takes time linear in its length: a match starts only where
a run of characters starts, and quantifiers that meet such a run are possessive. Add patterns in the same
way; the tests measure each of them with hostile text of twice the length.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from django.conf import settings

#: Longer text is cut before the patterns see it.
MAX_CHARS = 32_768
#: Characters looked at beyond a cut, so that a cut does not hide the end of a secret from its pattern.
_BEYOND_CUT = 1024
#: A configured secret shorter than this is not searched for: it could be part of an ordinary word.
_MIN_SECRET_CHARS = 16

_SECRET_NAMES = re.compile(
    r"(?i)secret|passw(?:or)?d|passphrase|\bpwd\b|api[_-]?key|access[_-]?key|private[_-]?key|ticket[_-]?key"
    r"|session[_-]?id|csrf|security[_-]?token"
)
# These words occur in ordinary messages as well, so only `name=value` is a secret, not `name: value`.
_SECRET_PARAMETERS = re.compile(
    r"(?i)(?:\w{1,32}[_-])?(?:token|ticket|signature)|code(?:_verifier)?|sid|session|auth|key|pass"
)
_NAME = re.compile(r"""(?<![\w-])([\w-]++)(['"]?\s{0,8}[=:]\s{0,8})""")
_VALUE = re.compile(r"""'[^']*+'|"[^"]*+"|[^\s]++""")
_DOTTED_RUN = re.compile(r"[\w.-]{8,}+")
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s++[\w.~+/=-]{6,}+"), r"\1 [token]"),
    # A password may hold a slash, so everything up to the last @ counts as credentials.
    (re.compile(r"://[^\s]++"), lambda found: _without_credentials(found[0])),
    (re.compile(r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)++"), "[e-mail]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "[access key]"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        "[key]",
    ),
)


def without_secrets(text: str, limit: int = MAX_CHARS) -> str:
    """`text` without tokens, keys, passwords, credentials in URLs and e-mails, cut to `limit` characters."""
    clean = _redacted(text[: limit + _BEYOND_CUT])
    return clean if len(text) <= limit else f"{clean[:limit]}… [cut, {len(text)} characters]"


def _redacted(text: str) -> str:
    if configured := _configured_secrets():
        text = configured.sub("[secret]", text)
    text = _DOTTED_RUN.sub(_without_token, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _without_named_secrets(text)


def _without_token(found: re.Match[str]) -> str:
    """`found`, a run of words and dots, with `[token]` where a JWT begins: a header in base64 and a dot."""
    parts = found[0].split(".")
    for number, part in enumerate(parts[:-1]):
        begin = part.find("eyJ")
        # A short word such as HeyJude is not a token; a real header has at least 20 characters.
        if begin >= 0 and len(part) - begin >= (15 if part[max(0, begin - 1)].isalnum() and begin else 7):
            return ".".join([*parts[:number], f"{part[:begin]}[token]"])
    return found[0]


def _without_credentials(address: str) -> str:
    _, at, host = address.rpartition("@")
    return f"://[secret]@{host}" if at else address


def _without_named_secrets(text: str) -> str:
    """`password=…`, `'secret': '…'` and the like without the value, which may be quoted."""
    kept: list[str] = []
    position = 0
    for found in _NAME.finditer(text):
        if found.start() >= position and _is_secret(found[1], found[2]):
            kept += text[position : found.end()], "[secret]"
            value = _VALUE.match(text, found.end())
            position = value.end() if value else found.end()
    return "".join([*kept, text[position:]])


def _is_secret(name: str, separator: str) -> bool:
    if _SECRET_NAMES.search(name[:128]):
        return True
    return separator == "=" and _SECRET_PARAMETERS.fullmatch(name[:128]) is not None


def _configured_secrets() -> re.Pattern[str] | None:
    """Finds the secrets of this process by their values, whatever the text around them."""
    if not settings.configured:
        return None
    return _pattern_of((settings.SECRET_KEY, *getattr(settings, "SCOREBOARD_TICKET_KEYS", {}).values()))


@functools.lru_cache(maxsize=4)
def _pattern_of(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    searched = [re.escape(secret) for secret in secrets if len(secret) >= _MIN_SECRET_CHARS]
    return re.compile("|".join(sorted(searched, key=len, reverse=True))) if searched else None

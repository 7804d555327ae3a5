"""The `Content-Type` of a request: media type, charset and boundary (RFC 9110, section 8.3).

Bodies are UTF-8 here. A charset of the client never selects a codec: Python has codecs that are no charsets,
and remembers every name that it does not know.
"""

from __future__ import annotations

import re

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_ESSENCE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*"))?[ \t]*')
#: Names of UTF-8 and of its subset ASCII.
_UTF_8 = {"utf-8", "utf8", "us-ascii", "ascii"}


def read_content_type(value: str) -> tuple[str, bool, str | None]:
    """(media type in lower case, whether its charset is UTF-8 or not given, boundary as sent).

    Other parameters are ignored. What is not by the grammar has the media type "".
    """
    found = _ESSENCE.match(value)
    if found is None:
        return "", False, None
    essence, utf_8, boundary = found[1].lower(), True, None
    position = found.end()
    while position < len(value):
        found = _PARAMETER.match(value, position)
        if found is None:
            return "", False, None
        position = found.end()
        name = (found[1] or "").lower()
        if name == "charset":
            utf_8 = utf_8 and found[2].strip('"').lower() in _UTF_8
        elif name == "boundary":
            boundary = found[2]
    return essence, utf_8, boundary


def plain_content_type(value: str) -> str:
    """The same content type without anything that only its reader in Django would trip over."""
    essence, utf_8, boundary = read_content_type(value)
    if not essence:
        return "application/octet-stream"
    charset = "" if utf_8 else "; charset=unsupported"
    return essence + charset + (f"; boundary={boundary}" if boundary else "")

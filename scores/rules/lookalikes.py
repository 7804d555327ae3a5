"""Skeletons of names: two names that look alike have the same skeleton. Imports nothing of ours.

The mapping is confusables.txt of Unicode Technical Standard 39 ("Unicode Security Mechanisms", section 4),
as packaged by confusable_homoglyphs. On top of it, case and accents are ignored, and so are digits and
signs that people write in place of letters.
"""

from __future__ import annotations

import unicodedata2 as unicodedata
from confusable_homoglyphs.utils import load

#: Letters in shapes that confusables.txt leaves out.
_SHAPES = {
    first + number: ord("a") + number for first in (0x1F150, 0x1F170, 0x1F1E6) for number in range(26)
} | str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz")
_IN_PLACE_OF_LETTERS = str.maketrans("013457@$l|!", "oieastasiii")


def plain_letters(text: str) -> str:
    """`text` without compatibility forms: full-width, mathematical and enclosed letters become letters."""
    normal: str = unicodedata.normalize("NFKC", text)
    return normal.translate(_SHAPES)


def is_alphanumeric(char: str) -> bool:
    """Whether `char` is a letter or a digit, the same on every version of Python."""
    category: str = unicodedata.category(char)
    return category[0] in "LN"


def skeleton(text: str) -> str:
    """What `text` looks like: only letters and digits, without case, accents and look-alikes."""
    # Case is ignored between the two steps: a capital looks like other letters than its small form does.
    folded = _prototypes(_prototypes(plain_letters(text)).casefold())
    return "".join(filter(is_alphanumeric, folded.translate(_IN_PLACE_OF_LETTERS)))


def _prototypes(text: str) -> str:
    normal: str = unicodedata.normalize("NFKD", text)
    return normal.translate(_PROTOTYPES)


def _read_prototypes() -> dict[int, str]:
    """Every confusable character with the character or characters that stand for its class.

    The data lists the look-alikes of each entry both ways: a prototype has all of its class, any other
    character has its prototype only. Of a pair, the one in ASCII or else the lower one is the prototype.
    """
    data: dict[str, list[dict[str, str]]] = load("confusables.json")
    prototypes = {}
    for text, similar in data.items():
        other = similar[0]["c"]
        is_pair = len(similar) == len(data[other]) == 1
        first = min(text, other, key=lambda each: (not each.isascii(), each))
        if len(text) == len(similar) == 1 and not (is_pair and text == first):
            prototypes[ord(text)] = other
    return prototypes


_PROTOTYPES = _read_prototypes()

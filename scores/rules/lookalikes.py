"""Skeletons of names: two names that look alike have the same skeleton. Imports nothing of ours.

The mapping is confusables.txt of Unicode Technical Standard 39 ("Unicode Security Mechanisms", section 4),
as packaged by confusable_homoglyphs. On top of it, case and accents are ignored, and so are digits and
signs that people write in place of letters.
"""

from __future__ import annotations

import functools

import unicodedata2 as unicodedata
from confusable_homoglyphs.confusables import confusables_data

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
    return "".join(map(_prototype, unicodedata.normalize("NFKD", text)))


@functools.lru_cache(maxsize=4096)
def _prototype(char: str) -> str:
    """The character or characters that stand for all that look like `char`.

    The data lists the look-alikes of each entry both ways: a prototype has all of them, any other character
    has its prototype only. Of a pair, the one in ASCII or else the lower one is the prototype.
    """
    similar: list[str] = [each["c"] for each in confusables_data.get(char, ())]
    if len(similar) != 1:
        return char
    if len(confusables_data[similar[0]]) > 1:
        return similar[0]
    return min(char, similar[0], key=lambda each: (not each.isascii(), each))

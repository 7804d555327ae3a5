"""What a display name may be. Pure rules; imports nothing of ours.

Names stand next to names of others, so the rules are against names that cannot be seen, that reach out of
their place (bidi controls, piles of marks) and that pretend to be somebody (staff, or the label of a player
without a name). They are not what keeps the page safe from markup: it shows names as text only.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 32
MAX_BYTES = 96
#: Combining marks in a row: Thai, Hebrew and Vietnamese get by with three.
MAX_MARKS = 3

_ZERO_WIDTH_JOINER = "\u200d"
# Letters, marks and symbols by category, but nothing to be seen (Default_Ignorable_Code_Point, and blanks).
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0]")
_EMOJI_STYLE = "\ufe0f"
# Controls, formats (bidi, zero width, tags), surrogates, private use, unassigned, line and paragraph ends.
_REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_OFFICES = ("admin", "administrator", "moderator", "official", "staff", "support", "system")
_PLACEHOLDERS = (
    "anonymous",
    "banned",
    "deleted",
    "everyone",
    "false",
    "hidden",
    "nan",
    "nobody",
    "none",
    "null",
)
_RESERVED = (
    *_OFFICES,
    *_PLACEHOLDERS,
    "mod",
    "owner",
    "root",
    "scoreboard",
    "true",
    "undefined",
    "unknown",
    "you",
)
#: Nobody may begin with a word of office, nor with what players without a name are called ("Player 4f2a91…").
_RESERVED_START = (*_OFFICES, "player")
_LOOKALIKES = str.maketrans(
    {
        "0": "o",
        "1": "i",
        "l": "i",
        "|": "i",
        "!": "i",
        "3": "e",
        "4": "a",
        "@": "a",
        "5": "s",
        "$": "s",
        "7": "t",
    }
    | dict(zip("аеіјорсуѕхԁ", "aeijopcysxd", strict=True))  # Cyrillic
    | dict(zip("αινορυ", "aivopu", strict=True))  # Greek
)


#: Longer ids are cut in a label.
_SHORT_ID = 12


class BadName(ValueError):
    """The name is refused; the text says why, to the person who chose it."""


def clean_name(text: str) -> str:
    """`text` as it will be stored and shown: NFC, without spaces around it, single spaces in it.

    Raises BadName.
    """
    name = re.sub(r"[^\S\t-\r\x1c-\x1f\x85\u2028\u2029]+", " ", unicodedata.normalize("NFC", text)).strip(" ")
    if not name:
        raise BadName("A name needs at least one character.")
    if len(name) > MAX_CHARS or len(name.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadName(f"A name has at most {MAX_CHARS} characters.")
    for place, char in enumerate(name):
        if (unicodedata.category(char) in _REFUSED or _INVISIBLE.match(char)) and not _joins_emoji(
            name, place
        ):
            raise BadName("A name cannot hold control, invisible or unassigned characters.")
    if not any(unicodedata.category(char)[0] in "LNSP" for char in name):
        raise BadName("A name needs something to be seen.")
    if _has_pile_of_marks(name):
        raise BadName("A name has at most three marks on one letter.")
    if _is_reserved(name):
        raise BadName("This name is reserved.")
    return name


def _joins_emoji(name: str, place: int) -> bool:
    """Whether the character is the joiner within one emoji made of several."""
    if name[place] != _ZERO_WIDTH_JOINER or place + 1 == len(name):
        return False
    before = name[:place].rstrip(_EMOJI_STYLE)[-1:]
    return bool(before) and _is_pictorial(before) and _is_pictorial(name[place + 1])


def _is_pictorial(char: str) -> bool:
    return unicodedata.category(char) == "So" or 0x1F3FB <= ord(char) <= 0x1F3FF  # or a skin tone


def _has_pile_of_marks(name: str) -> bool:
    run = 0
    for char in unicodedata.normalize("NFD", name):
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if run > MAX_MARKS:
            return True
    return False


def _is_reserved(name: str) -> bool:
    words = [_skeleton(word) for word in re.split(r"[\W_]+", unicodedata.normalize("NFKC", name)) if word]
    return _skeleton(name) in map(_skeleton, _RESERVED) or bool(
        words and words[0] in map(_skeleton, _RESERVED_START)
    )


def _skeleton(text: str) -> str:
    """`text` as the eye takes it: without case, accents, punctuation and digits that stand for letters."""
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    return "".join(char for char in plain if char.isalnum())


def label(user_id: str, name: str | None) -> str:
    """What a player is called: the name, or a friendly label made of the id."""
    if name is not None:
        return name
    return f"Player {user_id if len(user_id) <= _SHORT_ID else user_id[:8] + '…'}"

"""The rules for display names.

A name stands next to the names of other players. The rules refuse names that cannot be seen, that reach out
of their place (bidi controls, piles of marks), and that impersonate staff or a player without a name. They
do not protect the page from markup: it shows names as text only. Characters are looked up in the tables of
unicodedata2, so a name gets the same answer on every version of Python.
"""

from __future__ import annotations

import re

import unicodedata2 as unicodedata
from idna.core import valid_contextj

from scores.rules.lookalikes import is_alphanumeric, plain_letters, skeleton

MAX_CHARS = 32
MAX_BYTES = 96
#: Combining marks on one letter. Thai, Hebrew and Vietnamese need up to three.
MAX_MARKS = 3
_TOO_LONG = f"A name has at most {MAX_CHARS} characters."

_NON_JOINER, _JOINER = "\u200c", "\u200d"
_EMOJI_STYLE = "\ufe0f"
_VIRAMA_CLASS = 9
# Letters, marks and symbols by category that nobody can see (Default_Ignorable_Code_Point, and blanks).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U0001d159]"
)
_IDEOGRAPH_VARIANT = re.compile("[\U000e0100-\U000e01ef]")
_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Controls, formats (bidi, zero width, tags), surrogates, private use, unassigned, line and paragraph ends.
_REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SPACES = re.compile(r"[^\S\t-\r\x1c-\x1f\x85\u2028\u2029]+")
# The flags of England, Scotland and Wales: the only emoji that are made of tag characters.
_TAGGED_FLAGS = re.compile(
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
_CHECK_MARKS = re.compile("[\u2611\u2705\u2713\u2714\U0001f5f8\U0001f5f9]")
#: Refused at the beginning and at the end of a word: "Admins", "superadmin", "Administrator Ann".
_STAFF = tuple(map(skeleton, ("admin", "moderator")))
#: Refused as a word of the name, also in the plural. They are parts of ordinary words: "Flagstaff".
_STAFF_WORDS = {
    skeleton(word + plural)
    for word in ("mod", "official", "owner", "staff", "support", "sysop", "system", "verified", "webmaster")
    for plural in ("", "s")
}
#: Refused as the whole name.
_RESERVED = {
    *_STAFF,
    *_STAFF_WORDS,
    *map(skeleton, ("anonymous", "everyone", "nobody", "unknown", "you", "root", "scoreboard")),
    *map(skeleton, ("banned", "deleted", "hidden", "false", "nan", "none", "null", "true", "undefined")),
}
#: Players without a name are called "Player 4f2a91…".
_LABEL = skeleton("player")
#: Longer ids are cut in a label.
_SHORT_ID = 12


class BadName(ValueError):
    """The name is refused. The text names the rule, for the person who chose the name."""


def clean_name(text: str) -> str:
    """`text` as it is stored and shown: NFC, no spaces around it, single spaces in it.

    Raises BadName.
    """
    name = _SPACES.sub(" ", text).strip(" ")
    if len(name) > 4 * MAX_CHARS:  # cannot get short enough, and takes long to normalize
        raise BadName(_TOO_LONG)
    name = str(unicodedata.normalize("NFC", name))
    _check_length(name)
    _check_characters(name)
    if _has_pile_of_marks(name):
        raise BadName(f"A name has at most {MAX_MARKS} combining marks on one letter.")
    if _CHECK_MARKS.search(name):
        raise BadName("A name cannot hold a check mark: it looks like a badge of verified players.")
    if _is_reserved(name):
        raise BadName("This name is reserved: it looks like a name of the staff or of the scoreboard.")
    return name


def label(user_id: str, name: str | None) -> str:
    """The player's name, or a label made of the id."""
    if name is not None:
        return name
    return f"Player {user_id if len(user_id) <= _SHORT_ID else user_id[:8] + '…'}"


def _check_length(name: str) -> None:
    if not name:
        raise BadName("A name needs at least one character.")
    if len(name) > MAX_CHARS:
        raise BadName(_TOO_LONG)
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise BadName(f"A name has at most {MAX_BYTES} bytes in UTF-8; this one has {size}.")


def _check_characters(name: str) -> None:
    shown = _TAGGED_FLAGS.sub("\U0001f3f4", name)
    for place, char in enumerate(shown):
        if _is_refused(char) and not _is_in_place(shown, place):
            raise BadName(
                "A name cannot hold control, invisible or unassigned characters; "
                f"this one holds U+{ord(char):04X}."
            )
    if not any(unicodedata.category(char)[0] in "LNSP" for char in shown):
        raise BadName("A name needs at least one visible character.")


def _is_refused(char: str) -> bool:
    return (
        unicodedata.category(char) in _REFUSED
        or _INVISIBLE.match(char) is not None
        or _IDEOGRAPH_VARIANT.match(char) is not None
    )


def _is_in_place(name: str, place: int) -> bool:
    """Whether an invisible character does its work here: it shapes letters or joins emoji."""
    char, before, after = name[place], name[:place], name[place + 1 :]
    if _IDEOGRAPH_VARIANT.match(char):
        return _IDEOGRAPH.match(before[-1:]) is not None
    if char not in (_NON_JOINER, _JOINER) or not before or not after:
        return False
    if unicodedata.combining(before[-1]) == _VIRAMA_CLASS:
        return True
    if char == _JOINER:
        return _is_pictorial(before.rstrip(_EMOJI_STYLE)[-1:]) and _is_pictorial(after[0])
    try:
        return valid_contextj(name, place)  # RFC 5892, appendix A.1
    except ValueError:  # next to a character that this Python does not know
        return False


def _is_pictorial(char: str) -> bool:
    """Whether `char` is a symbol, a skin tone, or the arrow of a shaken head."""
    return bool(char) and (
        unicodedata.category(char) == "So" or 0x1F3FB <= ord(char) <= 0x1F3FF or char == "\u2194"
    )


def _has_pile_of_marks(name: str) -> bool:
    run = 0
    for char in unicodedata.normalize("NFD", name):
        visible_mark = unicodedata.category(char) in ("Mn", "Me") and not _IDEOGRAPH_VARIANT.match(char)
        run = run + 1 if visible_mark else 0
        if run > MAX_MARKS:
            return True
    return False


def _is_reserved(name: str) -> bool:
    words, whole = _words(name), skeleton(name)
    if whole in _RESERVED or skeleton(words[0]) == _LABEL:
        return True
    # Between blanks as well, where signs stand for letters: "Adm!n".
    return any(map(_is_of_staff, {form for word in (*words, *name.split(" ")) for form in _forms(word)}))


def _words(name: str) -> list[str]:
    """The words of `name`. "AnnSmith" is two, "a.d.m.i.n" is one."""
    words = [""]
    before = ""
    for char in plain_letters(name):
        if not is_alphanumeric(char) or (before.islower() and char.isupper()):
            words.append("")
        if is_alphanumeric(char):
            words[-1] += char
        before = char
    return _with_single_letters_joined([word for word in words if word]) or [""]


def _with_single_letters_joined(words: list[str]) -> list[str]:
    joined: list[str] = []
    spelled = False
    for word in words:
        if spelled and len(word) == 1:
            joined[-1] += word
        else:
            joined.append(word)
        spelled = len(word) == 1
    return joined


def _forms(word: str) -> set[str]:
    """`word` with and without the digits around it."""
    digits = "0123456789"
    return {word, word.rstrip(digits), word.strip(digits)}


def _is_of_staff(word: str) -> bool:
    seen = skeleton(word)
    return seen in _STAFF_WORDS or seen.startswith(_STAFF) or seen.endswith(_STAFF)

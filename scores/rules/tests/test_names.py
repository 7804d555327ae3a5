"""Which display names are accepted, in which form, and which rule refuses the others."""

from __future__ import annotations

import time

import pytest

from scores.rules.lookalikes import skeleton
from scores.rules.names import BadName, clean_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ann", "Ann"),
        ("  Ann   of\u3000Green ", "Ann of Green"),
        ("Cafe\u0301", "Café"),
        ("雨宮 さくら", "雨宮 さくら"),
        ("نورا الخطيب", "نورا الخطيب"),
        ("🦊 Fennec 🏳️‍🌈", "🦊 Fennec 🏳️‍🌈"),
        ("👩🏽‍🚒", "👩🏽‍🚒"),
        ("Nguyễn Thị Ánh", "Nguyễn Thị Ánh"),
        ("e\u0302\u0323" * 32, "\u1ec7" * 32),
        ("<b>Bo</b>", "<b>Bo</b>"),
        ("'; DROP TABLE --", "'; DROP TABLE --"),
        ("Players' friend", "Players' friend"),
        ("Modesty", "Modesty"),
        ("Badminton Bob", "Badminton Bob"),
        ("Padmini", "Padmini"),
        ("Conrad Min", "Conrad Min"),
        ("Flagstaff", "Flagstaff"),
        ("Unofficial Supporter", "Unofficial Supporter"),
        ("Player1", "Player1"),
        ("İbrahim Łukasz", "İbrahim Łukasz"),
        ("علی\u200cرضا", "علی\u200cرضا"),  # Persian, with a joiner that shapes the letters
        ("क्\u200dष", "क्\u200dष"),
        ("ශ්\u200dරී", "ශ්\u200dරී"),
        ("葛\U000e0100城", "葛\U000e0100城"),
        ("🩷", "🩷"),  # Unicode 15
        ("\U0001fadf", "\U0001fadf"),  # Unicode 16
        ("🙂\u200d↔\ufe0f", "🙂\u200d↔\ufe0f"),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",) * 2,
        ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
        ("x" * 32, "x" * 32),
    ],
)
def test_a_good_name_is_kept_in_one_form(text: str, name: str):
    assert clean_name(text) == name
    assert clean_name(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "x" * 33,
        "😀" * 25,
        "a\x00b",
        "a\nb",
        "a\tb",
        "a\x7fb",
        "a\u0085b",
        "a\u2028b",
        "\u200b",
        "a\u200bb",
        "a\u200cb",
        "a\u200db",
        "\u200d🦊",
        "🦊\u200d",
        "a\ufeffb",
        "a\u00adb",
        "a\u202eb",
        "a\u2066b\u2069",
        "\u200fab",
        "a\ue000b",
        "a\ufffe",
        "a\ud800",
        "a\U000e0041b",
        "\u2800",
        "\u3164",
        "\u115f\u1160",
        "\u0301",
        "Z\u0334\u0341\u0300\u0353a",
        "admin",
        "ADMIN",
        "Ádmin",
        "adm1n",
        "аdmin",  # Cyrillic а
        "a.d.m.i.n",
        "ａｄｍｉｎ",
        "Admin Ann",
        "moderator_7",
        "Player 4f2a91c0…",
        "PIayer USER-111",  # a capital i
        "null",
        "Anonymous",
        "you",
        "a\U000e0100",
        "ann\u200c",
        "ann\u200cann",
        "علی\u200c",
        "\u200cعلی",
        "علی\u200cann",
        "क\u200dष",  # without the virama
        "🏴\U000e0067\U000e007f",
        "a\U0001d159b",
    ],
)
def test_a_name_that_deceives_or_cannot_be_seen_is_refused(text: str):
    with pytest.raises(BadName):
        clean_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "Admin1",
        "1Admin",
        "The_Admin",
        "Moderators",
        "SuperAdmin",
        "TheAdmin",
        "adminbob",
        "xX_admin_Xx",
        "xXAdminXx",
        "admın",
        "Ꭺdmin",
        "ᴀᴅᴍɪɴ",
        "ⓐⓓⓜⓘⓝ",
        "🅰🅳🅼🅸🅽",
        "🇦🇩🇲🇮🇳",
        "𝓐𝓭𝓶𝓲𝓷",
        "ADMΙΝ",
        "аdmіn",
        "Adm!n",
        "@dmin",
        "rnoderator",
        "Moderatör",
        "[MOD]Ann",
        "Ann(staff)",
        "OfficialBob",
        "0fficial",
        "Verified",
        "✓Verified",
        "Ann✅",
        "Ann✔",
        "Support24",
        "Owner",
        "sсoreboard",
        "nu11",
        "Sysop",
    ],
)
def test_a_name_that_looks_like_staff_is_refused(text: str):
    with pytest.raises(BadName, match=r"reserved|badge"):
        clean_name(text)


@pytest.mark.parametrize(
    "text", ["The Admin", "a d m i n", "The a d m i n", "Mr. Support", "Ann, Site Owner"]
)
def test_staff_words_are_found_anywhere_in_the_name(text: str):
    with pytest.raises(BadName, match="reserved"):
        clean_name(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("😀" * 25, "at most 96 bytes in UTF-8; this one has 100"),
        ("x" * 33, "at most 32 characters"),
        ("a\u202eb", r"this one holds U\+202E"),
        ("Z\u0334\u0341\u0300\u0353a", "at most 3 combining marks"),
        ("\u0301", "at least one visible character"),
    ],
)
def test_the_message_names_the_rule_that_was_broken(text: str, rule: str):
    with pytest.raises(BadName, match=rule):
        clean_name(text)


def test_names_that_look_alike_have_one_skeleton():
    assert len({skeleton(name) for name in ("Paypal", "РауРаІ", "p a y p a l", "PAYPA1", "раураӏ")}) == 1
    assert skeleton("Ann") != skeleton("Anna")


def test_a_very_long_name_is_refused_fast():
    started = time.thread_time()
    for text in ("\u0301\u0316" * 100_000, " " * 200_000 + "x" * 200_000, "\u200c" * 200_000):
        with pytest.raises(BadName):
            clean_name(text)
    assert time.thread_time() - started < 0.2

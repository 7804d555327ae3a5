import pytest

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
        ("<b>Bo</b>", "<b>Bo</b>"),
        ("'; DROP TABLE --", "'; DROP TABLE --"),
        ("Players' friend", "Players' friend"),
        ("Modesty", "Modesty"),
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
    ],
)
def test_a_name_that_deceives_or_cannot_be_seen_is_refused(text: str):
    with pytest.raises(BadName):
        clean_name(text)

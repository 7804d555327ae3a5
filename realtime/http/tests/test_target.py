"""The one reading of a request target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.http.target import BadTarget, Target, read_target


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"/score/top10", "/score/top10"),
        (b"/admin/", "/admin/"),
        (b"/score/players/a%40b", "/score/players/a@b"),
        (b"/score/players/a%3ab", "/score/players/a:b"),
        (b"/%C3%A9", "/é"),
        (b"/a|b".replace(b"|", b"%7C"), "/a|b"),
    ],
)
def test_a_path_is_decoded(target, path):
    assert read_target(b"GET", target) == Target(path, target)


@pytest.mark.parametrize(
    "target",
    [
        *(
            b"/%73core",
            b"/score%2ftop10",
            b"/score%2Ftop10",
            b"/a%2Eb",
            b"/%7e",
            b"/a%00",
            b"/a%0a",
            b"/a%7f",
        ),
        *(b"//", b"//a", b"/a//b", b"/.", b"/..", b"/a/./b", b"/a/../b", b"/a/.."),
        *(b"/%ff", b"/%ed%a0%80", b"/%", b"/%1", b"/%zz", b"/a|b", b'/"', b"/a#b", b"/a\\b"),
    ],
)
def test_any_other_spelling_does_not_exist(target):
    with pytest.raises(BadTarget) as refused:
        read_target(b"GET", target)
    assert refused.value.status == 404


def test_the_query_is_kept_as_it_was_sent():
    assert read_target(b"GET", b"/a?b=%73&c=//") == Target("/a", b"/a", b"b=%73&c=//")
    assert read_target(b"GET", b"/a?") == Target("/a", b"/a")


@pytest.mark.parametrize("host", [b"127.0.0.1", b"localhost:8000", b"LOCALHOST"])
def test_an_address_of_ours_counts_as_the_path_in_it(host):
    for scheme in (b"http", b"https", b"HTTP"):
        assert read_target(b"GET", scheme + b"://" + host + b"/a?b") == Target("/a", b"/a", b"b", host)
    assert read_target(b"GET", b"http://" + host) == Target("/", b"/", b"", host)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"GET", b"http://evil.example/a", 400),
        (b"GET", b"http://127.0.0.1@evil.example/a", 400),
        (b"GET", b"http://evil.example@127.0.0.1/a", 400),
        (b"GET", b"http:///a", 400),
        (b"GET", b"ftp://127.0.0.1/a", 400),
        (b"GET", b"http://127.0.0.1/%61", 404),
        (b"GET", b"http://127.0.0.1//", 404),
        (b"GET", b"a", 400),
        (b"GET", b"mailto:a@b", 400),
        (b"GET", b"/\xff", 400),
        (b"OPTIONS", b"*", 405),
        (b"GET", b"*", 405),
        (b"CONNECT", b"example.com:443", 405),
        (b"CONNECT", b"/", 405),
    ],
)
def test_other_targets_are_refused(method, target, status):
    with pytest.raises(BadTarget) as refused:
        read_target(method, target)
    assert refused.value.status == refused.value.answer[0] == status


@given(st.text(alphabet="/.%2eEfF7Aa~:@?é|", max_size=12))
def test_two_targets_with_one_path_differ_in_reserved_characters_only(text):
    try:
        target = read_target(b"GET", b"/" + text.encode())
    except BadTarget:
        return
    segments = target.path.split("/")[1:]
    assert "" not in segments[:-1] and "." not in segments and ".." not in segments
    assert target.raw_path.count(b"/") == target.path.count("/")

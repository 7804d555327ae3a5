"""RFC 6455 on bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime import frames
from tools.testing.raw import ACCEPT, KEY, client_frame


def split_frames(data: bytes):
    """The whole frames at the start of `data`, and the rest."""
    received, position = [], 0
    while found := frames.read_frame(data, position):
        frame, position = found
        received.append(frame)
    return received, data[position:]


any_frame = st.one_of(
    st.tuples(st.sampled_from([0, 1, 2]), st.binary(max_size=1024), st.booleans()),
    st.tuples(st.sampled_from([8, 9, 10]), st.binary(max_size=125), st.just(True)),
)


@settings(deadline=None)
@given(st.lists(any_frame, max_size=5), st.lists(st.integers(0, 6000)))
def test_frames_are_the_same_however_the_network_cuts_them(sent, cuts):
    stream = b"".join(client_frame(opcode, payload, final=final) for opcode, payload, final in sent)
    got, rest = [], b""
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for start, end in itertools.pairwise(edges):
        received, rest = split_frames(rest + stream[start:end])
        got += received
    assert rest == b""
    assert [(f.opcode, len(f.payload), f.final) for f in got] == [(o, len(p), f) for o, p, f in sent]
    assert [f.payload for f in got if f.opcode >= 8] == [p for o, p, _ in sent if o >= 8]


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_no_bytes_do_anything_but_be_read_or_refused(data):
    try:
        _, rest = split_frames(data)
    except frames.FrameError as error:
        assert error.code in (frames.PROTOCOL_ERROR, frames.TOO_BIG)
    else:
        assert len(rest) < frames.MAX_PAYLOAD + 8


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(1, b"x", masked=False), 1002),
        (client_frame(1, b"x", rsv=4), 1002),
        (client_frame(3, b"x"), 1002),
        (client_frame(11, b"x"), 1002),
        (client_frame(9, b"x", final=False), 1002),
        (client_frame(9, b"x" * 126), 1002),
        (client_frame(1, b"x" * 1025), 1009),
        (client_frame(1, b"x" * 70_000)[:14], 1009),
    ],
    ids=["unmasked", "reserved bit", "opcode 3", "opcode 11", "cut ping", "long ping", "1025 bytes", "70 KB"],
)
def test_a_broken_frame_is_refused_with_its_code(data, code):
    with pytest.raises(frames.FrameError) as refused:
        split_frames(data)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"", 1000), (b"\x03\xe8bye", 1000), (b"\x0f\xa0", 4000), (b"\x03", 1002), (b"\x03\xed", 1002)],
)
def test_a_close_is_answered_with_a_code_that_may_be_sent(payload, code):
    assert frames.close_code(payload) == code


@pytest.mark.parametrize(("length", "head"), [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_a_server_frame_has_the_shortest_head_and_no_mask(length, head):
    made = frames.frame(frames.TEXT, b"x" * length)
    assert len(made) == head + length
    assert made[0] == 0x81
    assert made[1] < 128


def test_a_handshake_key_has_its_answer_and_an_odd_one_none():
    assert frames.accept_token(KEY.encode()) == ACCEPT.encode()
    for odd in (b"", b"short", b"!" * 24, b"x" * 24 + b"=="):
        assert frames.accept_token(odd) is None

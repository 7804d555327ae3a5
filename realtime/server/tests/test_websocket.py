"""The board's socket on our own server, byte by byte."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from tools.testing import stage
from tools.testing.processes import post, server
from tools.testing.raw import ACCEPT, BINARY, CLOSE, PING, PONG, TEXT, RawViewer
from tools.testing.tls import tls_server


@pytest.fixture(scope="module")
def web(running_stores):
    stage.reset()
    with server() as part:
        yield part


@pytest.fixture
def viewer(web):
    with RawViewer(web.port) as raw:
        yield raw.opened()


def test_a_handshake_is_answered_by_the_book_and_followed_by_the_board(web):
    with RawViewer(web.port) as raw:
        status, head = raw.shake_hands()
        assert status == 101
        assert f"Sec-WebSocket-Accept: {ACCEPT}" in head
        assert raw.read().message["type"] == "board"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 400),
        ({"Sec_WebSocket_Version": ""}, 400),
        ({"Sec_WebSocket_Key": ""}, 400),
        ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
        ({"Connection": "close"}, 400),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[x"}, 403),
        ({"Origin": "http://a:99999"}, 403),
        ({"Host": ""}, 400),
    ],
)
def test_a_bad_handshake_is_refused_in_the_shape_of_every_error(web, headers, status):
    with RawViewer(web.port) as raw:
        answered, head = raw.shake_hands(**headers)
        assert answered == status
        assert "application/problem+json" in head
        assert "X-Content-Type-Options: nosniff" in head


def test_http_1_0_has_no_sockets(web):
    with RawViewer(web.port) as raw:
        assert raw.shake_hands(version="1.0")[0] == 400


def test_headers_may_be_lists_in_several_lines(web):
    with RawViewer(web.port) as raw:
        status, head = raw.shake_hands(
            Upgrade="websocket, other",
            Connection="keep-alive\r\nConnection: Upgrade",
            Sec_WebSocket_Protocol="other\r\nSec-WebSocket-Protocol: scoreboard",
        )
        assert status == 101
        assert "Sec-WebSocket-Protocol: scoreboard" in head


@pytest.mark.parametrize("count", [1, 5])
def test_answers_to_earlier_requests_of_the_connection_come_first(web, count):
    with RawViewer(web.port) as raw:
        before = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * count
        heads = [raw.shake_hands(before=before)[1], *(raw.next_head() for _ in range(count))]
        assert [head.split()[1] for head in heads] == ["200"] * count + ["101"]
        assert raw.read().message["type"] == "board"
        raw.say(PING, b"up")
        assert raw.read_control() == (PONG, b"up")


def test_who_waits_for_100_continue_gets_it_first(web):
    with RawViewer(web.port) as raw:
        assert [raw.shake_hands(Expect="100-continue")[0], int(raw.next_head().split()[1])] == [100, 101]
        assert raw.read().message["type"] == "board"


def test_a_page_of_our_own_may_open_it(web):
    with RawViewer(web.port) as raw:
        assert raw.shake_hands(Origin=f"http://127.0.0.1:{web.port}")[0] == 101


def test_a_change_arrives_with_a_higher_revision(web, viewer):
    token = local_issuer.mint("server", WRITE_SCOPE)
    revisions = []
    for number in range(3):
        assert post(web, token, "ann", 10, f"change-{number}").status_code == 200
        revisions.append(viewer.read().message["revision"])
    assert revisions == sorted(set(revisions))


def test_a_ping_is_answered_with_its_payload(viewer):
    viewer.say(PING, b"are you there")
    assert viewer.read_control() == (PONG, b"are you there")


def test_a_close_is_answered_and_the_connection_ends(viewer):
    viewer.say(CLOSE, (4321).to_bytes(2, "big"))
    assert viewer.read_control().close_code == 4321
    with pytest.raises(EOFError):
        viewer.read()


def test_what_a_viewer_says_is_ignored_also_in_pieces(viewer):
    viewer.say(TEXT, "grüße".encode())
    viewer.say(BINARY, b"\x00" * 1024)
    viewer.say(TEXT, b"a", final=False)
    viewer.say(PING, b"between")
    viewer.say(0, b"b")
    assert viewer.read_control() == (PONG, b"between")
    viewer.say(PING)
    assert viewer.read_control() == (PONG, b"")


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (lambda v: v.say(TEXT, b"x", masked=False), 1002),
        (lambda v: v.say(0, b"x"), 1002),
        (lambda v: (v.say(TEXT, b"x", final=False), v.say(TEXT, b"x")), 1002),
        (lambda v: v.say(TEXT, b"x" * 1025), 1009),
        (lambda v: (v.say(TEXT, b"x" * 1000, final=False), v.say(0, b"x" * 25)), 1009),
        (lambda v: [v.say(TEXT, b"hello") for _ in range(101)], 4429),
        (lambda v: v.say(TEXT, b"\xce\xba\xff"), 1007),
        (lambda v: (v.say(TEXT, b"\xe2\x82", final=False), v.say(0, b"\x28")), 1007),
        (lambda v: v.say(CLOSE, b"\x03\xe8\xff"), 1007),
    ],
    ids=[
        *("unmasked", "nothing to continue", "two at once", "too long", "too long in pieces", "too many"),
        *("no text", "no text in pieces", "no text in a close"),
    ],
)
def test_a_viewer_that_breaks_a_rule_is_closed_with_its_code(viewer, say, code):
    say(viewer)
    assert viewer.read_control().close_code == code
    viewer.say(CLOSE, code.to_bytes(2, "big"))
    with pytest.raises((EOFError, ConnectionResetError)):
        viewer.read_control()


def test_who_does_not_answer_a_close_is_dropped(viewer):
    viewer.say(TEXT, b"x", masked=False)
    assert viewer.read_control().close_code == 1002
    with pytest.raises((EOFError, ConnectionResetError)):  # before the client's own 5 s
        viewer.read_control()


def test_it_works_over_tls(running_stores, tmp_path):
    stage.reset()
    with (
        tls_server(tmp_path) as (part, trust),
        connect(f"wss://localhost:{part.port}/ws/scoreboard", ssl=trust) as viewer,
    ):
        assert json.loads(viewer.recv(timeout=5))["type"] == "board"
        stage.add("ann", 10)
        while not json.loads(viewer.recv(timeout=5))["top10"]:
            pass
        os.kill(part.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            viewer.recv(timeout=5)
        assert closed.value.rcvd.code == 1012


def test_many_may_wait_for_accept_at_an_endpoint_too(running_stores, tmp_path):
    with tls_server(tmp_path) as (part, _), ExitStack() as stack:
        os.kill(part.pid, signal.SIGSTOP)
        try:
            for _ in range(100):  # Twisted's own backlog is 50
                stack.enter_context(socket.create_connection(("127.0.0.1", part.port), timeout=0.5))
        finally:
            os.kill(part.pid, signal.SIGCONT)

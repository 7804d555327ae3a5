"""The contract of the socket, on our own server and on plain daphne through Channels."""

from __future__ import annotations

import time
from contextlib import ExitStack

import httpx
import pytest

from tools.testing import stage
from tools.testing.kernel import resident_kib
from tools.testing.processes import line_with, server
from tools.testing.raw import CLOSE, PING, PONG, TEXT, RawViewer

SERVERS = {
    "ours": ("manage.py", "serve", "--port"),
    "plain daphne": ("-m", "daphne", "scoreboard_site.asgi:application", "-p"),
}
LIMITS = {
    "SCOREBOARD_MAX_SOCKETS": "6",
    "SCOREBOARD_MAX_SOCKETS_PER_ADDRESS": "2",
    "SCOREBOARD_TRUSTED_PROXIES": "1",
}


@pytest.fixture(scope="module", params=list(SERVERS.values()), ids=list(SERVERS))
def web(running_stores, request):
    stage.reset()
    for number in range(10):
        stage.add(f"player-{number:0100d}", 1000 - number)
    lines: list[str] = []
    with server(request.param, sink=lines.append, **LIMITS) as part:
        part.lines = lines
        yield part


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened
    time.sleep(0.3)  # until the server has noticed


def handshake(stack, web, address="10.0.0.1", path="/ws/scoreboard", **headers):
    viewer = stack.enter_context(RawViewer(web.port))
    status, _ = viewer.shake_hands(path, X_Forwarded_For=f"9.9.9.9, {address}", **headers)
    return viewer, status


def opened(stack, web, address="10.0.0.1", **headers):
    viewer, status = handshake(stack, web, address, **headers)
    assert status == 101
    return viewer


def closed_with(viewer):
    """The close code; None where the connection is dropped without one."""
    try:
        while (frame := viewer.read()).opcode != CLOSE:
            pass
    except (EOFError, ConnectionError):
        return None
    viewer.say(CLOSE, frame.payload)
    return frame.close_code


def ask(port, target, *lines):
    """Status of a bare GET of this target."""
    with RawViewer(port) as client:
        client.send(
            "\r\n".join([f"GET {target} HTTP/1.1", *(lines or ("Host: 127.0.0.1",)), "", ""]).encode()
        )
        return int(client.next_head().split()[1])


def test_a_board_over_one_kib_arrives_whole(stack, web):
    board = opened(stack, web).read()
    assert len(board.payload) > 1024
    assert len(board.message["top10"]) == 10


def test_sockets_are_limited_by_address_and_in_all(stack, web):
    for address, allowed in [
        *[("10.0.0.1", True)] * 2,
        ("10.0.0.1", False),
        *[("2001:db8::1", True), ("2001:db8::2", True), ("2001:db8::3", False)],
        *[("10.0.0.2", True), ("10.0.0.3", True)],
        ("10.0.0.4", False),
    ]:
        status = handshake(stack, web, address)[1]
        assert (status == 101) is allowed, (address, status)
        assert allowed or status in (403, 429, 503)
    event = line_with(web.lines, "event=too_many_sockets")
    assert "address=10.0.0.1" in event and "path=/ws/scoreboard" in event


@pytest.mark.parametrize(
    "target",
    ["/ws/%73coreboard", "/ws//scoreboard", "/ws/./scoreboard", "/ws%2Fscoreboard", "/%77s/scoreboard"],
)
def test_another_spelling_of_the_path_opens_nothing(stack, web, target):
    assert handshake(stack, web, path=target)[1] in (403, 404)


def test_an_absolute_target_counts_as_the_path_in_it(stack, web):
    target = f"http://127.0.0.1:{web.port}/ws/scoreboard"
    statuses = [handshake(stack, web, path=target)[1] for _ in range(3)]
    assert statuses[:2] == [101, 101]
    assert statuses[2] in (403, 429)


def test_sockets_at_unknown_paths_are_counted_and_closed_with_their_code(stack, web):
    viewers = [handshake(stack, web, path="/ws/none") for _ in range(3)]
    assert [status for _, status in viewers[:2]] == [101, 101]
    assert viewers[2][1] in (403, 429)
    assert closed_with(viewers[0][0]) == 4404


def test_a_foreign_page_is_refused_and_that_is_written_down(stack, web):
    assert handshake(stack, web, "10.9.9.9", Origin="https://evil.example")[1] == 403
    assert line_with(web.lines, "event=origin", "address=10.9.9.9")


@pytest.mark.parametrize(
    ("say", "codes"),
    [
        (lambda v: [v.say(TEXT, b"hello") for _ in range(101)], {4429}),
        (lambda v: v.say(TEXT, b"x" * 1025), {1009, 4429}),  # an ASGI application cannot send 1009
        (lambda v: v.say(TEXT, b"x", masked=False), {1002, None}),  # daphne drops the connection
        (lambda v: v.say(TEXT, b"\xce\xba\xff"), {1007, None}),
    ],
    ids=["too many", "too long", "unmasked", "not UTF-8"],
)
def test_a_viewer_that_breaks_a_rule_is_closed_with_its_code(stack, web, say, codes):
    viewer = opened(stack, web)
    assert viewer.read().message["type"] == "board"
    say(viewer)
    assert closed_with(viewer) in codes


def test_messages_of_a_viewer_are_ignored_and_pings_answered(stack, web):
    viewer = opened(stack, web)
    viewer.say(TEXT, "grüße".encode())
    viewer.say(PING, b"are you there")
    assert viewer.read_control() == (PONG, b"are you there")


def test_http_has_one_spelling_of_each_path_too(web):
    foreign, own = "http://evil.example/livez", f"http://127.0.0.1:{web.port}"
    assert ask(web.port, "/livez") == ask(web.port, f"{own}/livez") == 200
    assert ask(web.port, f"{own}/score/top10?", "Host: evil.example") == 200  # RFC 9112, 3.2.2
    assert ask(web.port, foreign) == ask(web.port, foreign, "Host: evil.example") == 400
    for other in ("/score/top%31%30", "/%73core/top10", "//score/top10", "/score/./top10", "/score%2ftop10"):
        assert ask(web.port, other) == 404, other


PUMPS = {
    "ours": ("-m", "realtime.server.tests.pump"),
    "plain daphne": ("-m", "realtime.server.tests.pump", "--daphne"),
}


@pytest.mark.parametrize("command", PUMPS.values(), ids=PUMPS.keys())
def test_a_slow_reader_costs_a_bounded_memory_and_is_closed(running_stores, stack, command):
    with server(command, probe="/livez", PUMP_BEHIND_S="2", PUMP_ROWS="200") as part:
        silent = [stack.enter_context(RawViewer(part.port, receive_buffer=4096)) for _ in range(8)]
        for viewer in silent:
            viewer.opened()
        reader = stack.enter_context(RawViewer(part.port)).opened()
        before, until = resident_kib(part.pid), time.monotonic() + 4
        revisions = []
        while time.monotonic() < until:
            frame = reader.read()
            if frame.opcode == TEXT:
                revisions.append(frame.message["revision"])
        assert revisions == sorted(set(revisions)) and len(revisions) > 20
        # Several MiB of boards were made for each. The kernel holds a part, the process nearly nothing.
        assert resident_kib(part.pid) - before < 8 * 1024
        began = time.monotonic()
        assert {closed_with(viewer) for viewer in silent} <= {4408, None}
        assert time.monotonic() - began < 10, "they were still open"
        assert httpx.get(f"{part.url}/livez").status_code == 200

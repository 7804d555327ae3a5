"""A private board: its socket opens for a token, says why it does not, and closes when the token expires.

On our own server and on plain daphne, which take different ways to the same rule.
"""

from __future__ import annotations

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from realtime.events import NOT_NOW, UNAUTHORIZED
from scores.identity import local_issuer
from tools.testing import stage
from tools.testing.processes import server

SERVERS = {
    "ours": ("manage.py", "serve", "--port"),
    "daphne": ("-m", "daphne", "scoreboard_site.asgi:application", "-p"),
}


@pytest.fixture(scope="module", params=list(SERVERS.values()), ids=list(SERVERS))
def site(request, running_stores):
    stage.reset()
    with server(request.param, probe="/livez", SCOREBOARD_PUBLIC="false") as part:
        yield part


def viewer(site, *protocols):
    url, origin = site.url.replace("http", "ws", 1) + "/ws/scoreboard", site.url
    return connect(url, origin=origin, subprotocols=list(protocols) or None, max_size=2**20)


def close_code(socket):
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(timeout=10)
    return closed.value.rcvd.code if closed.value.rcvd else None


def wait_for_keys(site):
    """A process that has just started may ask to come back: it fetches the keys then."""
    for _ in range(20):
        with viewer(site, "scoreboard", local_issuer.mint("ann")) as socket:
            try:
                return socket.recv(timeout=10)
            except ConnectionClosed as closed:
                assert closed.rcvd is not None and closed.rcvd.code == NOT_NOW
        time.sleep(0.2)
    raise AssertionError("never let in")


def test_a_token_opens_it_and_its_end_closes_it(site):
    wait_for_keys(site)
    began = time.monotonic()
    with viewer(site, "scoreboard", local_issuer.mint("ann", lifetime_s=4)) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "board"
        assert socket.subprotocol == "scoreboard"
        assert close_code(socket) == UNAUTHORIZED
    assert 2.5 < time.monotonic() - began < 7


@pytest.mark.parametrize(
    "protocols",
    [
        (),
        ("scoreboard",),
        ("scoreboard", "nonsense"),
        ("scoreboard", "a.b.c"),
        ("TOKEN",),
        ("scoreboard", "TOKEN", "TOKEN2"),
        ("scoreboard", "EXPIRED"),
    ],
)
def test_without_one_valid_token_it_stays_shut(site, protocols):
    wait_for_keys(site)
    tokens = {
        "TOKEN": local_issuer.mint("ann"),
        "TOKEN2": local_issuer.mint("bob"),
        "EXPIRED": local_issuer.mint("ann", lifetime_s=-100),
    }
    with viewer(site, *(tokens.get(each, each) for each in protocols)) as socket:
        assert close_code(socket) == UNAUTHORIZED


def test_a_public_board_asks_for_nothing_and_answers_the_protocol(stores):
    with server() as part:
        with viewer(part, "scoreboard") as socket:
            assert socket.subprotocol == "scoreboard"
            assert json.loads(socket.recv(timeout=10))["type"] == "board"
        with viewer(part) as socket:
            assert socket.subprotocol is None

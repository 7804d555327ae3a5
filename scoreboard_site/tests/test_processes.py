"""Server processes on the same stores. Faults are in tools/faults/tests."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from tools.testing import stage
from tools.testing.processes import post, server

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def token():
    return local_issuer.mint("server", WRITE_SCOPE)


@pytest.fixture
def two(stores):
    with server() as one, server() as other:
        yield one, other


def socket_of(part, **options):
    return connect(f"ws://127.0.0.1:{part.port}/ws/scoreboard", open_timeout=5, close_timeout=1, **options)


def board_until(viewer, condition, seconds=5.0):
    """The first board that meets the condition."""
    deadline = time.monotonic() + seconds
    while True:
        message = json.loads(viewer.recv(timeout=max(0.01, deadline - time.monotonic())))
        if message["type"] == "board" and condition(message["top10"]):
            return message


def test_an_update_accepted_by_one_reaches_the_sockets_of_all(two, token):
    one, other = two
    with socket_of(one) as here, socket_of(other) as there:
        assert json.loads(here.recv(timeout=5))["type"] == "board"
        assert json.loads(there.recv(timeout=5))["type"] == "board"
        assert post(one, token, "ann", 10, "k").json() == {"status": "success", "newScore": 10}
        for viewer in (here, there):
            board = board_until(viewer, bool)
            assert board["top10"] == [{"rank": 1, "userId": "ann", "name": None, "score": 10}]


def test_who_may_open_a_socket(stores):
    with server() as part:
        own = f"http://127.0.0.1:{part.port}"
        for origin in (None, own, own.replace("127.0.0.1", "localhost")):
            with socket_of(part, origin=origin) as viewer:
                assert json.loads(viewer.recv(timeout=5))["top10"] == []
        for origin in ("http://evil.example", "http://127.0.0.1", own.replace("http:", "https:"), "null"):
            with pytest.raises(InvalidStatus):
                socket_of(part, origin=origin)


def test_an_unknown_socket_path_is_a_close_code_and_no_traceback(stores):
    with server() as part:
        nowhere = connect(f"ws://127.0.0.1:{part.port}/ws/none")
        with nowhere, pytest.raises(ConnectionClosed) as closed:
            nowhere.recv(timeout=5)
        assert closed.value.rcvd.code == 4404
        assert not [line for line in part.last_lines if "Traceback" in line]


def test_the_root_path_of_a_client_is_not_believed(stores):
    with server() as part:
        headers = {"Daphne-Root-Path": "/evil"}
        assert httpx.get(f"{part.url}/score/top10", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "daphne", "scoreboard_site.asgi:application", "-p"),
        ("-m", "uvicorn", "scoreboard_site.asgi:application", "--port"),
    ],
    ids=["plain daphne", "uvicorn"],
)
def test_other_asgi_servers_work_as_well(stores, token, command):
    with server(command) as part, socket_of(part) as viewer, socket_of(part) as other:
        assert post(part, token, "ann", 10, "k").status_code == 200
        board_until(viewer, bool)
        board_until(other, bool)
        # One channel and one group for the whole process, not one channel for each socket.
        assert len(stage.scoreboard().cache.client.pubsub_channels()) == 2
        # Chunked, so that only the application can see that it is too large.
        response = httpx.post(f"{part.url}/score/update", content=iter([b" " * 5000]))
        assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_without_tables_a_process_is_alive_but_not_ready_and_says_why(running_stores):
    with server(probe="/livez", SCOREBOARD_TABLE_PREFIX="Nowhere") as part:
        response = httpx.get(f"{part.url}/readyz")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and "create_tables" not in "".join(part.last_lines):
            time.sleep(0.1)
        assert "run `python manage.py create_tables`" in "".join(part.last_lines)

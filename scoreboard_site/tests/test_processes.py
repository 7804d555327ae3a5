"""Several server processes on the same stores: one count, one board, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from devstack import pytest_plugin
from scoreboard_site.tests.processes import CuttingProxy, answers, post, post_until_settled, server
from scores import local_issuer, maintenance, ranking, repository
from scores.identity import WRITE_SCOPE
from scores.tests import stage

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


def test_the_same_key_on_two_processes_counts_once(two, token):
    replies = []

    def write(part):
        replies.extend(post_until_settled(part, token, "ann", 10, f"k{n}").json() for n in range(20))

    threads = [threading.Thread(target=write, args=(part,)) for part in two for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert repository.read_player("ann").score == 200
    assert sorted(reply["newScore"] for reply in replies) == sorted(list(range(10, 201, 10)) * 4)
    assert maintenance.verify_ledger() == (1, [])


def test_a_process_killed_in_mid_update_and_a_retry_on_the_other_count_once(two, token, dynamodb_pid):
    one, other = two
    assert post(one, token, "ann", 1, "first").status_code == 200
    for round_number in range(3):
        key = f"k{round_number}"
        os.kill(dynamodb_pid, signal.SIGSTOP)  # the update is on its way and stays there
        try:
            thread = threading.Thread(target=_post_and_lose, args=(one, token, key))
            thread.start()
            time.sleep(0.25)
            one.kill()
        finally:
            os.kill(dynamodb_pid, signal.SIGCONT)
        thread.join()
        assert post_until_settled(other, token, "ann", 10, key).json()["newScore"] == 11 + 10 * round_number
        one.start()
        one.wait_ready()
    assert repository.read_player("ann").score == 31
    assert maintenance.verify_ledger() == (1, [])


def _post_and_lose(part, token, key):
    try:
        post(part, token, "ann", 10, key)
    except httpx.TransportError:
        pass


def test_cut_replies_of_dynamodb_double_nothing(stores, token):
    proxy = CuttingProxy(pytest_plugin.DYNAMODB_PORT)
    with server(DYNAMODB_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}") as part:
        for number in range(12):
            proxy.cutting = number % 2 == 0
            try:
                response = post(part, token, "ann", 10, f"k{number}")
            finally:
                proxy.cutting = False
            assert response.status_code in (200, 503)
            if response.status_code == 503:
                assert response.json()["code"] in ("outcome_unknown", "unavailable")
                assert int(response.headers["Retry-After"]) >= 1
            settled = post_until_settled(part, token, "ann", 10, f"k{number}")
            assert settled.json()["newScore"] == 10 * (number + 1)
    proxy.close()
    assert proxy.cuts >= 6
    assert repository.read_player("ann").score == 120
    assert maintenance.verify_ledger() == (1, [])


def test_a_frozen_dynamodb_is_a_503_within_the_budget_and_changes_nothing(two, token, dynamodb_pid):
    one, _ = two
    post(one, token, "ann", 1, "first")
    os.kill(dynamodb_pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        response = post(one, token, "ann", 10, "k")
        assert time.monotonic() - started < 2.5
        assert (response.status_code, response.json()["code"]) == (503, "outcome_unknown")
        assert httpx.get(f"{one.url}/score/top10").status_code == 200
        assert answers("/readyz", one.port)
    finally:
        os.kill(dynamodb_pid, signal.SIGCONT)
    assert post_until_settled(one, token, "ann", 10, "k").json()["newScore"] == 11


def test_a_frozen_redis_costs_no_update_and_heals(two, token):
    one, other = two
    valkey_pid = pytest_plugin.part("valkey").pid
    with socket_of(other) as viewer:
        post(one, token, "ann", 1, "first")
        board_until(viewer, bool)
        os.kill(valkey_pid, signal.SIGSTOP)
        try:
            for number in range(5):
                started = time.monotonic()
                assert post(one, token, "ann", 10, f"k{number}").status_code == 200
                assert time.monotonic() - started < 2
            board_until(viewer, lambda rows: rows[0]["score"] == 51)  # from the index
        finally:
            os.kill(valkey_pid, signal.SIGCONT)
        assert post(other, token, "bob", 60, "k").status_code == 200
        board = board_until(viewer, lambda rows: [row["score"] for row in rows] == [60, 51])
        assert board["top10"][0]["userId"] == "bob"


def test_a_flush_under_load_is_healed_and_revisions_never_go_back(two, token):
    one, other = two
    with socket_of(one) as viewer:
        revisions = []
        for number in range(30):
            assert (
                post((one, other)[number % 2], token, f"u{number % 12:02}", 10, f"k{number}").status_code
                == 200
            )
            if number == 15:
                ranking._client().flushall()
        truth = [row.to_dict() for row in stage.true_rows()]

        def seen(rows):
            return rows == truth

        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            message = json.loads(viewer.recv(timeout=5))
            revisions.append(message["revision"])
            if message["type"] == "board" and seen(message["top10"]):
                break
        assert seen(message["top10"])
        assert revisions == sorted(set(revisions))
    time.sleep(2.5)
    assert httpx.get(f"{other.url}/score/top10").json() == truth


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
        assert len(ranking._client().pubsub_channels()) == 2
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

"""What one process takes on, and how it says no."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, closing

import httpx
import pytest

from realtime.server.server import SPARE_FILES
from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from tools.testing import stage
from tools.testing.processes import post, server
from tools.testing.raw import PING, PONG, RawViewer


@pytest.fixture(scope="module")
def web(running_stores):
    stage.reset()
    limits = {"SCOREBOARD_MAX_SOCKETS": "6", "SCOREBOARD_MAX_SOCKETS_PER_ADDRESS": "2"}
    with server(SCOREBOARD_TRUSTED_PROXIES="1", SCOREBOARD_MAX_WRITES="4", **limits) as part:
        yield part


@pytest.fixture
def token():
    return local_issuer.mint("server", WRITE_SCOPE)


def open_from(web, address: str) -> tuple[RawViewer, int, str]:
    viewer = RawViewer(web.port)
    status, head = viewer.shake_hands(X_Forwarded_For=f"9.9.9.9, {address}")
    return viewer, status, head


def test_sockets_are_limited_by_address_and_in_all_and_places_become_free(web):
    viewers = []
    for address, expected in [
        *[("10.0.0.1", 101)] * 2,
        ("10.0.0.1", 429),
        *[("2001:db8::1", 101), ("2001:db8::2", 101)],
        ("2001:db8::ffff", 429),
        *[("10.0.0.2", 101), ("10.0.0.3", 101)],
        ("10.0.0.4", 503),
    ]:
        viewer, status, head = open_from(web, address)
        assert status == expected, (address, head)
        if status != 101:
            assert "Retry-After: " in head
            assert "application/problem+json" in head
        viewers.append(viewer)
    for viewer in viewers:
        viewer.socket.close()
    time.sleep(0.2)
    viewer, status, _ = open_from(web, "10.0.0.1")
    viewer.socket.close()
    assert status == 101


def test_a_large_body_is_413_while_it_comes_in(web):
    for body in (b"x" * 5000, iter([b"x" * 3000, b"x" * 3000])):  # with a length, and chunked
        response = httpx.post(f"{web.url}/score/update", content=body, headers={"Idempotency-Key": '"k"'})
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
        assert response.headers["Idempotency-Key"] == "k"
        assert response.headers["Connection"] == "close", "a proxy would send the next request on it"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_an_endless_body_is_cut_off(web):
    with socket.create_connection(("127.0.0.1", web.port), timeout=5) as client:
        client.sendall(
            b"POST /score/update HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent, began = 0, time.monotonic()
        try:
            while time.monotonic() - began < 5:
                client.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
                sent += 1024
                time.sleep(0.01)
        except OSError:
            pass
        assert time.monotonic() - began < 3
        assert b" 413 " in client.recv(65536)


def test_a_request_that_never_gets_complete_is_dropped(running_stores):
    slow = ("manage.py", "serve", "--request-timeout", "1", "--port")
    with server(slow) as part, socket.create_connection(("127.0.0.1", part.port), timeout=5) as client:
        began = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):
            while time.monotonic() - began < 10:
                client.sendall(b"X-A: b\r\n")
                time.sleep(0.2)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "odd",
    [
        b"GET /score/top10 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Odd: \x0b\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /score/update HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"POST /score/update HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n",
        b"GET /" + b"x" * 20_000,
        b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 20_000,
    ],
    ids=["control character", "nonsense", "no colon", "two lengths", "bad chunk", "long path", "long header"],
)
def test_what_is_no_http_is_refused_in_the_shape_of_every_error(web, odd):
    with socket.create_connection(("127.0.0.1", web.port), timeout=5) as client:
        client.sendall(odd)
        answer = b""
        while data := client.recv(65536):
            answer += data
    head, body = answer.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head and b"nosniff" in head
    assert json.loads(body)["code"] == "invalid"


def test_connections_that_are_only_kept_alive_make_way_for_others(running_stores):
    files = SPARE_FILES + 20
    few = f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files})); "
    few += "sys.argv = ['manage.py', 'serve', '--port', sys.argv[1]]; "
    few += "runpy.run_path('manage.py', run_name='__main__')"
    with server(("-c", few)) as part, ExitStack() as stack:

        def connected() -> http.client.HTTPConnection:
            connection = http.client.HTTPConnection("127.0.0.1", part.port, timeout=5)
            return stack.enter_context(closing(connection))

        def live(connection: http.client.HTTPConnection) -> int:
            connection.request("GET", "/livez")
            response = connection.getresponse()
            response.read()
            return response.status

        viewer = stack.enter_context(RawViewer(part.port)).opened()
        for _ in range(60):
            assert live(connected()) == 200
        viewer.say(PING)
        assert viewer.read_control().opcode == PONG
        # Those that are in the middle of a request do not make way: there is no room then.
        for _ in range(40):
            begun = stack.enter_context(socket.create_connection(("127.0.0.1", part.port)))
            with contextlib.suppress(OSError):
                begun.sendall(b"GET /livez HTTP/1.1\r\n")
        time.sleep(0.5)
        with pytest.raises((OSError, http.client.HTTPException)):
            live(connected())


@pytest.mark.alone
def test_updates_above_the_limit_are_refused_at_once_and_nothing_else_is(web, token, dynamodb_pid):
    assert post(web, token, "ann", 1, "first").status_code == 200
    answers: list[tuple[float, httpx.Response]] = []

    def write(number: int) -> None:
        began = time.monotonic()
        answers.append((began, post(web, token, f"player-{number}", 1, f"key-{number}")))

    os.kill(dynamodb_pid, signal.SIGSTOP)
    try:
        holding = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in holding:
            thread.start()
        time.sleep(0.3)
        with httpx.Client() as client:
            client.get(f"{web.url}/livez")
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "mine"}
            for _ in range(20):
                began = time.monotonic()
                body = {"userId": "bob", "increment": 1}
                refused = client.post(f"{web.url}/score/update", json=body, headers=headers)
                assert time.monotonic() - began < 0.05
                assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
                assert refused.headers["Retry-After"] == "1"
                assert refused.headers["Idempotency-Key"] == "mine"
            assert client.get(f"{web.url}/livez").status_code == 200
            assert client.get(f"{web.url}/readyz").status_code == 200
            assert client.get(f"{web.url}/score/top10").status_code == 200
    finally:
        os.kill(dynamodb_pid, signal.SIGCONT)
        for thread in holding:
            thread.join()
    assert post(web, token, "bob", 1, "mine").status_code == 200

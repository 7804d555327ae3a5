"""SIGTERM: what is in flight is answered, sockets are told to come back, nothing is lost."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import pairwise

import httpx
import pytest

from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from scores.upkeep import verify
from tools.testing import stage
from tools.testing.processes import post, server
from tools.testing.raw import RawViewer

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def token():
    return local_issuer.mint("server", WRITE_SCOPE)


def exit_code(part, seconds):
    return part._process.wait(seconds)


def told_to_come_back(viewer):
    """When the viewer was closed with 1012 (s)."""
    frame = viewer.read_control()
    moment = time.monotonic()
    assert frame.close_code == 1012
    viewer.say(8, frame.payload)
    return moment


@pytest.mark.alone
def test_requests_are_answered_sockets_get_1012_and_the_process_ends(token, dynamodb_pid):
    with ExitStack() as stack, server() as part, httpx.Client() as client, ThreadPoolExecutor(58) as pool:
        viewers = [stack.enter_context(RawViewer(part.port)).opened() for _ in range(50)]

        def write(number):
            body = {"userId": f"player-{number}", "increment": 1}
            headers = {"Authorization": f"Bearer {token}"}
            return client.post(f"{part.url}/score/update", json=body, headers=headers).status_code

        assert set(pool.map(write, range(8))) == {200}  # connections everywhere
        os.kill(dynamodb_pid, signal.SIGSTOP)
        waiting = [pool.submit(write, number) for number in range(8)]
        closed = [pool.submit(told_to_come_back, viewer) for viewer in viewers]
        time.sleep(0.2)
        os.kill(part.pid, signal.SIGTERM)
        time.sleep(0.1)
        assert not any(future.done() for future in waiting)
        os.kill(dynamodb_pid, signal.SIGCONT)
        assert [future.result() for future in waiting] == [200] * 8
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", part.port)).close()
        moments = sorted(future.result() for future in closed)
        assert 0.7 < moments[-1] - moments[0] < 2
        assert max(later - earlier for earlier, later in pairwise(moments)) < 0.5, "not spread evenly"
        assert exit_code(part, 15) == 0
        assert not [line for line in part.last_lines if "Traceback" in line]


def test_who_waits_for_accept_is_answered():
    with server() as part, ExitStack() as stack:
        for _ in range(5):  # one at a time: the server accepts no more than that at once then
            assert httpx.get(f"{part.url}/livez").status_code == 200
        os.kill(part.pid, signal.SIGSTOP)
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", part.port), timeout=5))
            for _ in range(300)
        ]
        request = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for each in waiting[::2]:
            each.sendall(request)
        os.kill(part.pid, signal.SIGTERM)
        os.kill(part.pid, signal.SIGCONT)
        time.sleep(0.1)
        for each in waiting[1::2]:  # theirs was still on the way
            each.sendall(request)
        assert {each.recv(65536)[:12] for each in waiting} == {b"HTTP/1.1 200"}
        assert exit_code(part, 10) == 0


FAILING_CLOCK = """
import asyncio, os, runpy, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
import django
django.setup()
from realtime.server.registry import Registry
async def run_clock(self):
    await asyncio.sleep(2)
    raise RuntimeError("planted")
Registry.run_clock = run_clock
sys.argv = ["manage.py", "serve", "--port", sys.argv[1]]
runpy.run_path("manage.py", run_name="__main__")
"""


def test_a_process_whose_clock_has_failed_says_so_and_ends_in_an_orderly_way():
    lines: list[str] = []
    with server(("-c", FAILING_CLOCK), sink=lines.append) as part, RawViewer(part.port) as viewer:
        told_to_come_back(viewer.opened())
        assert exit_code(part, 10) == 1
    assert any("run_clock" in line and "this process ends" in line for line in lines)
    assert any("RuntimeError: planted" in line for line in lines)


def test_a_socket_that_never_reads_does_not_keep_the_process(token):
    with server() as part, RawViewer(part.port) as viewer:
        viewer.opened()
        os.kill(part.pid, signal.SIGTERM)
        assert exit_code(part, 15) == 0


def test_a_finished_socket_at_another_path_does_not_keep_the_process(token):
    with server() as part, RawViewer(part.port) as viewer:
        assert viewer.shake_hands(path="/ws/none")[0] == 101
        assert viewer.read().close_code == 4404
        os.kill(part.pid, signal.SIGTERM)
        assert exit_code(part, 15) == 0


def test_readiness_is_503_while_it_drains_also_on_a_connection_kept_alive(token):
    with (
        server() as part,
        RawViewer(part.port) as viewer,
        closing(http.client.HTTPConnection("127.0.0.1", part.port, timeout=5)) as kept,
    ):
        viewer.opened()  # closing it takes a second, for which the process is still there
        kept.request("GET", "/readyz")
        assert kept.getresponse().read() == b"ready\n"
        os.kill(part.pid, signal.SIGTERM)
        time.sleep(0.2)
        kept.request("GET", "/readyz")
        answer = kept.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (503, "close")


@pytest.mark.alone
def test_the_end_of_the_grace_period_ends_the_process(token, dynamodb_pid):
    command = ("manage.py", "serve", "--grace", "0.5", "--port")
    with server(command) as part, ThreadPoolExecutor(1) as pool:
        assert post(part, token, "ann", 1, "first").status_code == 200
        os.kill(dynamodb_pid, signal.SIGSTOP)
        try:
            hanging = pool.submit(post, part, token, "ann", 1, "hanging")  # for 2 s
            time.sleep(0.3)
            began = time.monotonic()
            os.kill(part.pid, signal.SIGTERM)
            assert exit_code(part, 5) == 1
            assert 0.4 < time.monotonic() - began < 1.4
            with pytest.raises(httpx.TransportError):
                hanging.result()
        finally:
            os.kill(dynamodb_pid, signal.SIGCONT)
        part.reap()
        assert any("the grace period is over" in line for line in part.last_lines)


@pytest.mark.alone
def test_a_second_signal_stops_at_once(token, dynamodb_pid):
    with server() as part, ThreadPoolExecutor(1) as pool:
        assert post(part, token, "ann", 1, "first").status_code == 200
        os.kill(dynamodb_pid, signal.SIGSTOP)
        try:
            pool.submit(post, part, token, "ann", 1, "hanging")
            time.sleep(0.3)
            os.kill(part.pid, signal.SIGTERM)
            time.sleep(0.2)
            began = time.monotonic()
            os.kill(part.pid, signal.SIGTERM)
            assert exit_code(part, 5) == 1
            assert time.monotonic() - began < 1
        finally:
            os.kill(dynamodb_pid, signal.SIGCONT)


def test_a_rolling_restart_under_load_loses_nothing_and_fails_nobody(token):
    with server() as one, server() as other, httpx.Client(limits=httpx.Limits(max_connections=50)) as client:
        parts = [one, other]
        stop = threading.Event()
        counted: list[int] = []

        def settle(user_id: str, key: str) -> None:
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            body = {"userId": user_id, "increment": 1}
            deadline = time.monotonic() + 10
            for attempt in range(1000):
                part = parts[(attempt + int(user_id[1:])) % 2]
                try:
                    response = client.post(f"{part.url}/score/update", json=body, headers=headers)
                except httpx.TransportError:
                    response = None
                if response is not None and response.status_code == 200:
                    counted.append(1)
                    return
                assert response is None or response.status_code == 503
                assert time.monotonic() < deadline, "no final answer"
                time.sleep(0.02)

        def write(number: int) -> None:
            count = 0
            while not stop.is_set():
                settle(f"p{number}", f"k{number}-{count}")
                count += 1
                time.sleep(0.2)  # the machine must have room for the processes that start

        with ThreadPoolExecutor(50) as pool:
            writers = [pool.submit(write, number) for number in range(50)]
            time.sleep(1)
            for part in parts:
                os.kill(part.pid, signal.SIGTERM)
                assert exit_code(part, 10) == 0
                part.reap()
                part.start()
                part.wait_ready()
            time.sleep(0.5)
            stop.set()
            for writer in writers:
                writer.result()
        assert sum(player.score for player in stage.table().values()) == len(counted) > 100
        assert verify.verify_ledger(stage.scoreboard())[1] == []

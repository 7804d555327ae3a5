"""How viewers slow down each other and HTTP requests on our server: `python -m tools.benchmarks.neighbours`.

- loop: what a board costs, against a bare loop over the very same sockets.
- storm: 5,000 sockets at once, as after a restart: the time to the last one's board, and requests meanwhile.
- HTTP: how long requests take while boards go out to 5,000 sockets, and while none do.
- slow readers: 2,000 sockets that never read, 500 of which send a byte now and then, next to 50 that do.
- refusals: how long a 503 takes while every write thread is busy, because DynamoDB is slow.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from statistics import median, quantiles
from urllib.parse import urlsplit

from realtime.server.open_files import raise_file_limit
from tools.benchmarks.fanout.__main__ import ITSELF, Pair, stores
from tools.benchmarks.programs import CLIENT_CORE, build, load_client
from tools.devstack.install.files import ROOT
from tools.faults.proxies.http import HttpProxy

REQUEST = (
    b"GET /ws/scoreboard HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def summary(milliseconds: list[float]) -> str:
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return (
        f"p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(milliseconds):.1f} ms ({len(milliseconds)})"
    )


def while_(work: Callable[[], object], port: int, *paths: str) -> list[list[float]]:
    """How long (ms) each GET took while `work` went on, by path: one after the other, in turn."""
    thread = threading.Thread(target=work)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def get(path: str) -> float:
        began = time.perf_counter()
        connection.request("GET", path)
        connection.getresponse().read()
        return (time.perf_counter() - began) * 1000

    for path in paths:
        get(path)
    thread.start()
    times: list[list[float]] = [[] for _ in paths]
    while thread.is_alive():
        for path, took in zip(paths, times, strict=True):
            took.append(get(path))
            time.sleep(0.005)
    connection.close()
    return times


def loop(sockets: int) -> None:
    pair = Pair("itself", sockets, ITSELF)
    client, _ = load_client(pair.port, sockets)
    try:
        results = json.loads(pair.server.ask("30"))
        ratios = sorted(one / other for one, other in results)
        bare, ours = (median(pair[place] for pair in results) for place in (0, 1))
        low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4]
        print(
            f"{sockets} sockets, processor time of a delivery: bare loop {bare:.2f} µs, ours {ours:.2f} µs; "
            f"ratio of speeds {median(ratios):.2f} ({low:.2f}–{high:.2f} for the middle half)"
        )
    finally:
        client.stop()
        pair.server.stop()


def storm(sockets: int) -> None:
    pair = Pair("ours", sockets)
    clients = []
    try:
        work = lambda: clients.append(load_client(pair.port, sockets, concurrency=sockets))  # noqa: E731
        live, board = while_(work, pair.port, "/livez", "/score/top10")
        opened = clients[0][1]
        print(
            f"storm: {opened['sockets']} of {sockets} open, {opened['failed']} failed, the last board after "
            f"{opened['slowest_first_us'] / 1000:.0f} ms; meanwhile GET /livez: {summary(live)}; "
            f"GET /score/top10: {summary(board)}"
        )
    finally:
        for client, _ in clients:
            client.stop()
        pair.server.stop()


def http_beside(sockets: int) -> None:
    pair = Pair("ours", sockets)
    client, _ = load_client(pair.port, sockets)
    try:
        for path in ("/livez", "/score/top10"):
            [idle] = while_(lambda: time.sleep(8), pair.port, path)
            [busy] = while_(lambda: pair.server.ask("run 8 200"), pair.port, path)
            print(f"GET {path} without boards: {summary(idle)}")
            print(f"GET {path} beside five boards a second to {sockets} sockets: {summary(busy)}")
    finally:
        client.stop()
        pair.server.stop()


def slow_readers(silent: int, chatty: int, normal: int, seconds: int) -> None:
    pair = Pair("ours", silent + normal)
    sockets = [socket.socket() for _ in range(silent)]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.connect(("127.0.0.1", pair.port))
        each.sendall(REQUEST)
    client, _ = load_client(pair.port, normal, concurrency=normal)
    try:
        time.sleep(2)
        resident = [pair.server.resident_kib()]
        work = threading.Thread(target=lambda: pair.server.ask(f"run {seconds} 50"))
        work.start()
        gone: Counter[str] = Counter()
        while work.is_alive():
            for each in sockets[:chatty]:
                try:
                    each.send(b"\x81")
                except OSError as error:
                    gone[type(error).__name__] += 1
            resident.append(pair.server.resident_kib())
            time.sleep(1)
        last = [us / 1000 for us in json.loads(client.ask())["last_us"]]
        print(
            f"{silent} that never read ({chatty} send a byte a second), {normal} normal, 20 boards/s for "
            f"{seconds} s: memory grew by {max(resident) - resident[0]} KiB at most, "
            f"{(max(resident) - resident[0]) / silent:.1f} KiB for each that does not read"
        )
        print(f"time to the last of the {normal} normal ones: {summary(last)}")
        print(f"closed as behind: {sum(not still_open(each) for each in sockets)} of {silent}")
    finally:
        client.stop()
        pair.server.stop()
        for each in sockets:
            each.close()


def still_open(each: socket.socket) -> bool:
    each.setblocking(False)
    try:
        while data := each.recv(65536):
            del data
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def refusals(writers: int, delay_s: float, seconds: float) -> None:
    """More writers than there are threads for, and each update takes `delay_s` (s) at least.

    The clients and the proxy that holds replies back share a process: what they take counts as well.
    """
    direct = os.environ["DYNAMODB_ENDPOINT_URL"]
    behind = urlsplit(direct).port
    assert behind
    token = subprocess.run(
        [sys.executable, "manage.py", "token", "--user", "server", "--scope", "scoreboard/score.write"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    proxy = HttpProxy(behind)
    os.environ["DYNAMODB_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
    pair = Pair("ours", 0)
    try:
        proxy.delay(delay_s)
        answers = asyncio.run(crowd(pair.port, token, writers, seconds))
        accepted = len(answers.pop("accepted", [])) / seconds
        refused = answers.pop("overloaded")
        others = {code: len(times) for code, times in answers.items()}
        print(
            f"{writers} writers, DynamoDB answers after {delay_s * 1000:.0f} ms: {accepted:.0f} updates/s "
            f"accepted; refused at the door: {summary(refused)}; other answers: {others or 'none'}"
        )
    finally:
        os.environ["DYNAMODB_ENDPOINT_URL"] = direct
        pair.server.stop()
        proxy.close()


async def crowd(port: int, token: str, writers: int, seconds: float) -> dict[str, list[float]]:
    """How long (ms) each answer took, by its code; `accepted` for updates that were."""
    until = time.perf_counter() + seconds
    answers: dict[str, list[float]] = {}

    async def write(number: int) -> None:
        body = json.dumps({"userId": f"writer-{number}", "increment": 1})
        request = (
            "POST /score/update HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            began = time.perf_counter()
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\ncontent-length: (\d+)", head)
            answer = json.loads(await reader.readexactly(int(length[1]) if length else 0))
            code = answer.get("code", "accepted")
            answers.setdefault(code, []).append((time.perf_counter() - began) * 1000)
            if code != "accepted":
                await asyncio.sleep(random.uniform(0.8, 1.2))  # Retry-After: 1
        writer.close()

    await asyncio.gather(*(write(number) for number in range(writers)))
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(
        "python3 -m tools bench-neighbours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", default=["loop", "storm", "http", "slow", "refusals"])
    options = parser.parse_args()
    build()
    raise_file_limit()
    with stores():
        if "loop" in options.parts:
            loop(2000)
            loop(5000)
        if "storm" in options.parts:
            storm(5000)
        if "http" in options.parts:
            http_beside(5000)
        if "slow" in options.parts:
            slow_readers(2000, 500, 50, 45)
        if "refusals" in options.parts:
            os.sched_setaffinity(0, {int(CLIENT_CORE)})  # its clients are this process
            refusals(200, 0.3, 10.0)


if __name__ == "__main__":
    main()

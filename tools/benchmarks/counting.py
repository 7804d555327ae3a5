"""Counts what a server process uses of its processor, and what it asks of its stores: DynamoDB through a
small proxy, Redis by MONITOR."""

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import redis

_TARGET = re.compile(rb"x-amz-target: dynamodb_\d+\.(\w+)\r\n", re.IGNORECASE)
_LONGEST_HEADER = 200
#: Linux makes the number of a process' clock of its id and this (clock_getcpuclockid(3)): exact to the ns.
_CPU_OF_ALL_THREADS = 2


def cpu_s(pid: int) -> float:
    """Processor time (s) that a process has used so far, also in threads that have ended."""
    if sys.platform == "linux":
        return time.clock_gettime(~pid << 3 | _CPU_OF_ALL_THREADS)
    clock = subprocess.run(
        ["ps", "-o", "time=", "-p", str(pid)], check=True, capture_output=True, text=True
    ).stdout
    minutes, seconds = clock.strip().rsplit(":", 1)
    return int(minutes.rpartition(":")[2]) * 60 + float(seconds)


class DynamoDBProxy:
    """Passes TCP through to DynamoDB Local and counts calls by their `X-Amz-Target` header."""

    def __init__(self, upstream_port: int) -> None:
        self.calls: Counter[str] = Counter()
        self.port = 0
        self._upstream_port = upstream_port
        self._loop = asyncio.new_event_loop()
        listening = threading.Event()
        threading.Thread(target=self._run, args=(listening,), daemon=True).start()
        listening.wait()

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        await asyncio.gather(self._pass(reader, up_writer, True), self._pass(up_reader, writer, False))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, count: bool) -> None:
        rest = b""
        while data := await source.read(65536):
            if count:
                seen = rest + data
                for found in _TARGET.finditer(seen):
                    self.calls[found[1].decode()] += 1
                    rest = seen[found.end() :]
                rest = (rest if _TARGET.search(seen) else seen)[-_LONGEST_HEADER:]
            target.write(data)
            await target.drain()
        target.close()


class RedisMonitor:
    """Counts the commands that clients send, by name; not those that scripts call inside the server."""

    def __init__(self, url: str) -> None:
        self.calls: Counter[str] = Counter()
        self._client = redis.Redis.from_url(url, socket_timeout=None)
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        with contextlib.suppress(redis.ConnectionError), self._client.monitor() as monitor:  # type: ignore[no-untyped-call]
            started.set()
            for command in monitor.listen():
                if command["client_type"] != "lua":
                    self.calls[command["command"].split()[0].upper()] += 1

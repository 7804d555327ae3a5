"""A proxy that knows HTTP requests, and the faults of DynamoDB that it can play.

proxy = HttpProxy(8001)
proxy.faults = chance(random.Random(1), {THROTTLED: 0.5})
proxy.faults = every_second_write(CUT)
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tools.faults.proxies.tcp import Proxy, _Pair

_TARGET = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Fault:
    """The treatment of one request.

    `after`: the server has done it, only the reply is another. `status` None: the connection is reset
    in place of a reply. `body` is sent as JSON.
    """

    name: str
    status: int | None = None
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    after: bool = False


#: Chooses a fault for a request, or None, by its operation: `TransactWriteItems`, or `POST /path`.
Chooser = Callable[[str], Fault | None]

#: The server does it, and nobody hears of it.
CUT = Fault("cut", after=True)


def _error(name: str, status: int, kind: str, *, after: bool = False, **more: Any) -> Fault:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": "by the proxy", **more}
    return Fault(name, status, body, after)


THROTTLED = _error("throttled", 400, "ProvisionedThroughputExceededException")
FAILED = _error("failed", 500, "InternalServerError")
#: A 500 of DynamoDB may also mean that it was done.
FAILED_AFTER = _error("failed after", 500, "InternalServerError", after=True)
_REASONS = [{"Code": "None"}, {"Code": "TransactionConflict", "Message": "by the proxy"}]
CONFLICT = _error("conflict", 400, "TransactionCanceledException", CancellationReasons=_REASONS)
_REASONS = [{"Code": "None"}, {"Code": "ThrottlingError", "Message": "by the proxy"}]
#: Throttling inside a transaction.
CANCELLED_THROTTLED = _error(
    "throttled in a transaction", 400, "TransactionCanceledException", CancellationReasons=_REASONS
)
_ONLY_TRANSACTIONS = {CONFLICT, CANCELLED_THROTTLED}
WRITES = {"TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem"}


def chance(dice: random.Random, probabilities: Mapping[Fault, float]) -> Chooser:
    """Each fault strikes with its probability; those of transactions strike transactions only."""

    def choose(operation: str) -> Fault | None:
        draw = dice.random()
        for fault, probability in probabilities.items():
            draw -= probability
            if draw < 0:
                fits = fault not in _ONLY_TRANSACTIONS or operation == "TransactWriteItems"
                return fault if fits else None
        return None

    return choose


def every_second_write(fault: Fault) -> Chooser:
    """The first write is struck, the third, and so on."""
    number = itertools.count()
    return lambda operation: fault if operation in WRITES and next(number) % 2 == 0 else None


class HttpProxy(Proxy):
    """Passes HTTP/1.1 on, request by request. `faults` chooses the treatment of each."""

    def __init__(self, *target_ports: int) -> None:
        self.faults: Chooser | None = None
        #: How often each fault has struck, by name.
        self.struck: Counter[str] = Counter()
        super().__init__(*target_ports)

    def restore(self) -> None:
        self.faults = None
        super().restore()

    async def _serve(self, pair: _Pair) -> None:
        while request := await _message(pair.client_reader):
            await self._flowing.wait()
            fault = self.faults(_operation(request)) if self.faults else None
            if fault:
                self.struck[fault.name] += 1
            if fault is None or fault.after:
                pair.server.write(request)
                await pair.server.drain()
                reply = await _message(pair.server_reader)
                if not reply:  # the server has gone: so does the connection
                    return
            if await self._hold_back():
                return
            if fault is not None:
                if fault.status is None:
                    self.cuts += 1
                    return
                reply = _reply(fault.status, fault.body)
            pair.client.write(reply)
            await pair.client.drain()


def _operation(request: bytes) -> str:
    if found := _TARGET.search(request):
        return found[1].decode()
    return b" ".join(request.split(b" ", 2)[:2]).decode("latin-1")


def _reply(status: int, body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/x-amz-json-1.0\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole request or reply as it came; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return b""
    if _CHUNKED.search(head):
        return head + await _chunks(reader)
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        body += line + await reader.readexactly(int(line, 16) + 2)
        if int(line, 16) == 0:
            return body

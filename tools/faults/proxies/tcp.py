"""A proxy between a client and a server that misbehaves when told to.

    proxy = Proxy(6379)            # the client uses proxy.port
    proxy.blackhole()              # … connections stay open and nothing moves
    proxy.restore()                # … and what was held back arrives after all
    proxy.target_ports = [6380]    # new connections go somewhere else; of several, to each in turn

HttpProxy knows requests as well, so that a fault can strike a chosen one: see its `faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST at once


class Proxy:
    """Passes TCP on to ports of 127.0.0.1, in turn, to the next where one refuses; in a thread of its own.

    All methods may be called from any thread and have taken effect when they return.
    """

    def __init__(self, *target_ports: int) -> None:
        self.target_ports = list(target_ports)
        #: Every reply is this late (s).
        self.delay_s = 0.0
        #: Replies that were cut off.
        self.cuts = 0
        self.port = 0
        self._turn = 0
        self._cutting = False
        self._resetting = False
        self._pairs: set[_Pair] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        self._flowing = self._call(_made(asyncio.Event))
        self._flowing.set()
        self._call(self._listen())

    # --- Faults of connections ----------------------------------------------------------------------

    def restore(self) -> None:
        """Pass everything on again, at once."""
        self.delay_s = 0.0
        self._cutting = self._resetting = False
        self._call(self._listen())
        self._flowing_again()

    def delay(self, seconds: float) -> None:
        """Hold every reply back for this time (s)."""
        self.delay_s = seconds

    def blackhole(self) -> None:
        """Connections can be opened and stay open, but nothing moves, as when a cable is cut."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def refuse(self) -> None:
        """Nobody listens any more, and open connections are reset."""
        self._call(self._stop_listening())
        self.drop()

    def reset(self) -> None:
        """Every connection is reset as soon as it is open."""
        self._resetting = True
        self.drop()

    def cut_replies(self) -> None:
        """Requests reach the server; the connection is reset in place of a reply."""
        self._cutting = True

    def drop(self) -> None:
        """Reset the connections that are open now."""
        self._call(self._drop())

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def close(self) -> None:
        """End the proxy and its thread."""
        self.refuse()
        self._flowing_again()
        self._call(self._emptied())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- How ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._listener is None:
            # The backlog is what a server has that is not busy: the fault is elsewhere.
            self._listener = await asyncio.start_server(
                self._accept, "127.0.0.1", self.port, backlog=4096, limit=2**20
            )
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            # asyncio forgets to close a connection that it has accepted when the listener closes before it
            # has made the transport: two turns of the loop later.
            for each in self._listener.sockets:
                self._loop.remove_reader(each.fileno())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self._listener.close()
            self._listener = None

    def _flowing_again(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.set)

    async def _emptied(self) -> None:
        while self._pairs:
            await asyncio.sleep(0.005)

    async def _drop(self) -> None:
        for pair in list(self._pairs):
            pair.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(reader, writer)
        self._pairs.add(pair)
        try:
            if self._resetting:
                return
            await self._flowing.wait()
            await self._connect(pair)
            await self._serve(pair)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            self._pairs.discard(pair)
            pair.reset()

    async def _connect(self, pair: _Pair) -> None:
        self._turn += 1
        for number in range(len(self.target_ports)):
            try:
                return await pair.connect(self.target_ports[(self._turn + number) % len(self.target_ports)])
            except OSError:
                continue
        raise ConnectionRefusedError

    async def _serve(self, pair: _Pair) -> None:
        directions = [
            asyncio.ensure_future(self._pump(pair.client_reader, pair.server, reply=False)),
            asyncio.ensure_future(self._pump(pair.server_reader, pair.client, reply=True)),
        ]
        # Bytes that one end sent before it closed still reach the other.
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for each in directions:
            each.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        await pair.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, reply: bool) -> None:
        while data := await source.read(65536):
            if reply and await self._hold_back():
                return
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()

    async def _hold_back(self) -> bool:
        """Let a reply wait for its time; True: it must be cut off."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._flowing.wait()
        self.cuts += self._cutting
        return self._cutting


class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    server_reader: asyncio.StreamReader
    server: asyncio.StreamWriter

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.client_reader, self.client = reader, writer

    async def connect(self, port: int) -> None:
        self.server_reader, self.server = await asyncio.open_connection("127.0.0.1", port, limit=2**20)

    async def close(self) -> None:
        for writer in self._ends():
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def reset(self) -> None:
        for writer in self._ends():
            if not writer.is_closing():
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    def _ends(self) -> list[asyncio.StreamWriter]:
        return [self.client, *([self.server] if hasattr(self, "server") else [])]


async def _made(make: Callable[[], T]) -> T:
    return make()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for a condition; how long it took (s). Raises TimeoutError, which says what did not happen."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"within {seconds:g} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began

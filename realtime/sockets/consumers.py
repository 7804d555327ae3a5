"""The Channels consumer of the socket, for every ASGI server but our own (realtime/server/)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from realtime.events import BEHIND, TOO_MANY_MESSAGES, UNAUTHORIZED
from realtime.frames import MAX_PAYLOAD
from realtime.hub.audience import Frame
from realtime.hub.hub import Hub
from realtime.sockets import viewer_limits
from realtime.sockets.admission import admit
from realtime.sockets.viewer_limits import LimitedViewer


class SocketViewer(LimitedViewer):
    """A viewer behind the plain ASGI interface, with at most one send under way.

    `send` returns when the client has taken the message. `end` is called with a close code once the client
    has not taken one for BEHIND_S.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], end: Callable[[int], Awaitable[None]]) -> None:
        self._send = send
        self._end = end
        self._revision = -1
        self._sender: asyncio.Task[None] | None = None

    def offer(self, frame: Frame) -> None:
        if frame.revision > self._revision:
            self._revision = frame.revision
            self._put(frame)

    def ping(self, frame: Frame) -> None:
        if not self.behind:
            self._put(frame)

    def close(self) -> None:
        self._slot = None
        if self._sender is not None and self._sender is not asyncio.current_task():
            self._sender.cancel()

    def _put(self, frame: Frame) -> None:
        self._slot = frame
        if not self.behind:
            loop = asyncio.get_running_loop()
            self._behind_since = loop.time()
            self._sender = loop.create_task(self._send_all())

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (frame := self.take_slot()) is not None:
                self._behind_since = loop.time()
                async with asyncio.timeout(viewer_limits.BEHIND_S):
                    await self._send(frame.text)
        except TimeoutError:
            await self._end(BEHIND)
        except Exception:  # servers raise their own when the client has gone; the consumer is told as well
            return
        finally:
            self._behind_since = None


class ScoreboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Subscribes a socket to the hub. It has no channel of its own: the hub has one for all.

    The scope carries the `address` that the socket is counted for (realtime/http/sockets.py).
    """

    channel_layer_alias = ""  # none
    viewer: SocketViewer | None = None
    expiry: asyncio.TimerHandle | None = None
    ended = False

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def control() -> Any:
            return await self._next_control(receive)

        # Not in disconnect(): after an exception in a handler that is never called.
        try:
            await super().__call__(scope, control, send)
        finally:
            self._unsubscribe()

    async def connect(self) -> None:
        admission = admit(self.scope["path"], self.scope.get("subprotocols", ()), self.scope["address"])
        await self.accept(admission.protocol)
        if admission.refusal is not None:
            await self._end(admission.refusal)
            return
        if admission.lasts_s is not None:
            loop = asyncio.get_running_loop()
            self.expiry = loop.call_later(
                admission.lasts_s, lambda: loop.create_task(self._end(UNAUTHORIZED))
            )
        self.viewer = SocketViewer(self._send_text, self._end)
        self.hub.add(self.viewer)

    async def _next_control(self, receive: Any) -> Any:
        """The next message that is not a viewer's own. Those are counted and dropped.

        They do not reach Channels, which would use a thread for each.
        """
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            if self.viewer is not None and not self.ended and self._too_much(self.viewer, message):
                await self._end(TOO_MANY_MESSAGES)

    def _too_much(self, viewer: SocketViewer, message: Any) -> bool:
        size = len(message.get("bytes") or (message.get("text") or "").encode())
        return viewer.receives_too_much(asyncio.get_running_loop().time()) or size > MAX_PAYLOAD

    def _unsubscribe(self) -> None:
        if self.expiry is not None:
            self.expiry.cancel()
        if self.viewer is not None:
            self.hub.discard(self.viewer)
            self.viewer.close()

    async def _end(self, code: int) -> None:
        """Close the socket, once."""
        if not self.ended:
            self.ended = True
            self._unsubscribe()
            await self.close(code)

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)

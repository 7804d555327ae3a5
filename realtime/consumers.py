"""The consumer behind /ws/scoreboard, and the rules about who may open it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import ParseResult, urlparse

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.security.websocket import OriginValidator, WebsocketDenier
from django.conf import settings

from realtime.admission import admit
from realtime.audience import Frame
from realtime.events import NOT_FOUND, UNAUTHORIZED
from realtime.hub import Hub


class OriginRule(OriginValidator):  # type: ignore[misc]
    """Only pages of our own origins may open a socket; clients without an Origin are no browsers."""

    def __init__(self, application: Any) -> None:
        super().__init__(application, settings.SCOREBOARD_ALLOWED_ORIGINS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        # The validator's own fails on what is no URL.
        origin = next(
            (value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None
        )
        application = self.application if origin_allowed(origin) else WebsocketDenier()
        return await application(scope, receive, send)

    def valid_origin(self, parsed_origin: ParseResult | None) -> bool:
        if parsed_origin is None:
            return settings.SCOREBOARD_PUBLIC
        return bool(super().valid_origin(parsed_origin))


@functools.lru_cache(maxsize=256)
def origin_allowed(origin: str | None) -> bool:
    """The rule for an `Origin` header, for who does not speak ASGI."""
    try:
        return OriginRule(None).valid_origin(None if origin is None else urlparse(origin))
    except ValueError:
        return False


class SocketViewer:
    """A viewer behind the plain ASGI interface: one slot, and at most one send under way."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: Frame | None = None
        self._revision = -1
        self._sender: asyncio.Task[None] | None = None

    def offer(self, frame: Frame) -> None:
        if frame.revision > self._revision:
            self._revision = frame.revision
            self._put(frame)

    def ping(self, frame: Frame) -> None:
        if self._waiting is None:
            self._put(frame)

    def close(self) -> None:
        self._waiting = None
        if self._sender is not None:
            self._sender.cancel()

    def _put(self, frame: Frame) -> None:
        self._waiting = frame
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        while self._waiting is not None:
            frame, self._waiting = self._waiting, None
            try:
                await self._send(frame.text)
            except Exception:  # what servers raise when the client has gone; the consumer is told as well
                return


class ScoreboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Subscribes a socket to the hub. It has no channel of its own: the hub has one for all."""

    channel_layer_alias = ""  # none
    viewer: SocketViewer | None = None
    end: asyncio.TimerHandle | None = None

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Not in disconnect(): after an exception in a handler that is never called.
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.end is not None:
                self.end.cancel()
            if self.viewer is not None:
                self.hub.discard(self.viewer)
                self.viewer.close()

    async def connect(self) -> None:
        admission = admit(self.scope.get("subprotocols", ()))
        await self.accept(admission.protocol)
        if admission.refusal is not None:
            await self.close(admission.refusal)
            return
        if admission.lasts_s is not None:
            loop = asyncio.get_running_loop()
            self.end = loop.call_later(admission.lasts_s, lambda: loop.create_task(self._expire()))
        self.viewer = SocketViewer(self._send_text)
        self.hub.add(self.viewer)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Viewers have nothing to say; what they send is ignored."""

    async def _expire(self) -> None:
        if self.viewer is not None:
            self.hub.discard(self.viewer)
            self.viewer.close()
        await self.close(UNAUTHORIZED)

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)


class NothingHere(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Every other socket path: a close code instead of an exception."""

    channel_layer_alias = ""  # none

    async def connect(self) -> None:
        await self.accept()
        await self.close(NOT_FOUND)

"""Channels as its tutorial has it: every socket is a member of a channel-layer group: `... PORT`."""

from __future__ import annotations

import asyncio
import os
import sys

import django
from django.conf import settings

settings.configure(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
        }
    }
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from daphne.server import Server, twisted_loop  # noqa: E402
from django.urls import path  # noqa: E402

from tools.benchmarks.servers.driver import board_text, drive  # noqa: E402

members = 0
sent = 0
all_sent = asyncio.Event()


class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        global members
        await self.channel_layer.group_add("board", self.channel_name)
        await self.accept()
        await self.send(text_data=board_text())
        members += 1

    async def disconnect(self, code: int) -> None:
        global members
        members -= 1

    async def board_updated(self, event: dict[str, str]) -> None:
        global sent
        await self.send(text_data=event["text"])
        sent += 1
        if sent >= members:
            all_sent.set()


async def publish() -> None:
    """Waits until all have it: the layer's queues have no other end."""
    global sent
    sent = 0
    all_sent.clear()
    await get_channel_layer().group_send("board", {"type": "board.updated", "text": board_text()})
    await all_sent.wait()


if __name__ == "__main__":
    asyncio.set_event_loop(twisted_loop)
    task = twisted_loop.create_task(drive(publish))
    endpoint = f"tcp:{sys.argv[1]}:interface=127.0.0.1:backlog=4096"
    Server(URLRouter([path("ws/scoreboard", Viewer.as_asgi())]), endpoints=[endpoint]).run()

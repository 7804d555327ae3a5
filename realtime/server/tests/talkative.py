"""The real server with another consumer at every socket path but the board's: `... PORT`."""

from __future__ import annotations

import sys

import django

django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402

from realtime.server import server  # noqa: E402
from scoreboard_site import asgi  # noqa: E402


class Talkative(AsyncWebsocketConsumer):  # type: ignore[misc]
    channel_layer_alias = ""

    async def disconnect(self, code: int) -> None:
        print(f"disconnected with {code}", flush=True)


async def application(scope, receive, send):
    inner = ProtocolTypeRouter({"http": asgi.application, "websocket": Talkative.as_asgi()})
    await inner(scope, receive, send)


if __name__ == "__main__":
    server.run(application, asgi.application.live, server.Options(port=int(sys.argv[1])))

"""Socket paths."""

from __future__ import annotations

from typing import Any

from channels.routing import URLRouter
from django.urls import path, re_path

from realtime.consumers import NothingHere, ScoreboardConsumer
from realtime.events import SOCKET_PATH
from realtime.hub import Hub


def socket_routes(hub: Hub) -> Any:
    """The ASGI application for sockets."""
    return URLRouter(
        [
            path(SOCKET_PATH.lstrip("/"), ScoreboardConsumer.as_asgi(hub=hub)),
            re_path("", NothingHere.as_asgi()),
        ]
    )

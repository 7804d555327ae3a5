"""Socket paths."""

from django.urls import path, re_path

from realtime.consumers import NothingHere, ScoreboardConsumer
from realtime.events import SOCKET_PATH

websocket_urlpatterns = [
    path(SOCKET_PATH.lstrip("/"), ScoreboardConsumer.as_asgi()),
    re_path("", NothingHere.as_asgi()),
]

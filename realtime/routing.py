"""Socket paths."""

from django.urls import path, re_path

from realtime.consumers import NothingHere, ScoreboardConsumer

websocket_urlpatterns = [
    path("ws/scoreboard", ScoreboardConsumer.as_asgi()),
    re_path("", NothingHere.as_asgi()),
]

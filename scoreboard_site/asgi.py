"""The application as a whole, for any ASGI server: health, limits, HTTP, the socket, the background work."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from scores.telemetry import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
tracing.start()
_http = get_asgi_application()  # sets Django up: before anything of ours is imported

from channels.routing import ProtocolTypeRouter  # noqa: E402

from realtime.http.health import WithHealth  # noqa: E402
from realtime.http.limits import WithLimits  # noqa: E402
from realtime.http.sockets import WithSocketLimits  # noqa: E402
from realtime.http.target import WithTarget  # noqa: E402
from realtime.process import LiveApplication, LiveProcess  # noqa: E402
from realtime.sockets.consumers import ScoreboardConsumer  # noqa: E402
from scores.board.scoreboard import get_scoreboard  # noqa: E402

_live = LiveProcess(get_scoreboard())
application = LiveApplication(
    _live,
    WithTarget(
        WithHealth(
            _live,
            ProtocolTypeRouter(
                {
                    "http": tracing.traced(WithLimits(_http)),
                    "websocket": WithSocketLimits(_live, ScoreboardConsumer.as_asgi(hub=_live.hub)),
                }
            ),
        )
    ),
)

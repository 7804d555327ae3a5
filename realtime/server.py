"""Our server: daphne used as a library."""

from __future__ import annotations

from daphne.server import Server


def run(application: object, host: str, port: int) -> None:
    """Serve `application` until SIGTERM or SIGINT."""
    endpoint = f"tcp:port={port}:interface={host}"
    Server(
        application,
        endpoints=[endpoint],
        http_timeout=10,
        websocket_max_message_size=1024,
        websocket_max_frame_size=1024,
        server_name="scoreboard",
    ).run()

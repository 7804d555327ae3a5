"""`manage.py serve`: the web process."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from realtime import server


class Command(BaseCommand):
    help = "Serve the scoreboard: HTTP and WebSockets, in one process."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        from scoreboard_site.asgi import application

        server.run(application, options["host"], options["port"])

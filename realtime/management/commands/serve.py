"""`manage.py serve`: the web process."""

from typing import Any

from channels.routing import get_default_application
from django.core.management.base import BaseCommand, CommandParser

from realtime.server import server


class Command(BaseCommand):
    help = "Serve the scoreboard: HTTP and WebSockets, in one process. SIGTERM or Ctrl-C drains, twice stops."

    def add_arguments(self, parser: CommandParser) -> None:
        usual = server.Options()
        parser.add_argument("--host", default=usual.host, help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=usual.port, help="its port (default: %(default)s)")
        parser.add_argument(
            "--endpoint",
            help="a Twisted endpoint instead of host and port: ssl:8443:privateKey=key.pem:certKey=cert.pem",
        )
        parser.add_argument(
            "--backlog",
            type=int,
            default=usual.backlog,
            help="connections that may wait for accept, as far as somaxconn allows, also with --endpoint "
            "(default: %(default)s)",
        )
        parser.add_argument(
            "--keep-alive",
            type=float,
            default=usual.keep_alive_s,
            metavar="SECONDS",
            help="how long an idle HTTP connection stays open; longer than the load balancer's own idle "
            "timeout (default: %(default)s)",
        )
        parser.add_argument(
            "--request-timeout",
            type=float,
            default=usual.request_s,
            metavar="SECONDS",
            help="how long a request may take to come in, and then to be answered (default: %(default)s)",
        )
        parser.add_argument(
            "--grace",
            type=float,
            default=usual.grace_s,
            metavar="SECONDS",
            help="how long draining may take after SIGTERM (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        application = get_default_application()
        server.run(
            application,
            application.live,
            server.Options(
                host=options["host"],
                port=options["port"],
                endpoint=options["endpoint"],
                backlog=options["backlog"],
                keep_alive_s=options["keep_alive"],
                request_s=options["request_timeout"],
                grace_s=options["grace"],
            ),
        )

"""`manage.py token`: an access token of the local issuer."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from scores.rules.players import id_problem


class Command(BaseCommand):
    help = "Print an access token of the local issuer (development only)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, help="user id the token is for")
        parser.add_argument("--scope", default="", help=f"scopes, for example {WRITE_SCOPE}")

    def handle(self, *args: Any, **options: Any) -> None:
        if rule := id_problem(options["user"]):
            raise CommandError(f"--user must be {rule}")
        try:
            self.stdout.write(local_issuer.mint(options["user"], options["scope"]))
        except (ImproperlyConfigured, OSError) as error:
            raise CommandError(str(error)) from error

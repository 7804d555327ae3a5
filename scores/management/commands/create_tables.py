"""`manage.py create_tables`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scores.board import services
from scores.rules.errors import ScoreboardError
from scores.stores import repository


class Command(BaseCommand):
    help = "Create the DynamoDB tables, indexes and TTL that are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--restored",
            action="store_true",
            help="the tables were restored from a backup: begin a new generation, which empties all caches",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = repository.create_tables()
            if options["restored"]:
                repository.begin_generation(services.now_ms())
                done.append("began a new generation; servers check the index against the whole table")
        except ScoreboardError as error:
            raise CommandError(f"DynamoDB: {error}") from error
        for line in done or ["nothing to do: tables, TTL and generation are there"]:
            self.stdout.write(line)

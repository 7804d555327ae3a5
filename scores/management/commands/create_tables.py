"""`manage.py create_tables`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scores.board.scoreboard import get_scoreboard
from scores.rules.errors import ScoreboardError
from scores.stores.administration import create_tables


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
            scoreboard = get_scoreboard()
            done = create_tables(scoreboard.players)
            if options["restored"]:
                scoreboard.players.begin_generation(scoreboard.now_ms())
                done.append("began a new generation; servers check the index against the whole table")
        except ScoreboardError as error:
            raise CommandError(f"DynamoDB: {error}") from error
        for line in done or ["nothing to do: tables, TTL and generation are there"]:
            self.stdout.write(line)

"""`manage.py create_tables`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scores import repository
from scores.errors import ScoreboardError


class Command(BaseCommand):
    help = "Create the DynamoDB tables, indexes and TTL. What is there already is left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = repository.create_tables()
        except ScoreboardError as error:
            raise CommandError(f"DynamoDB: {error}") from error
        for line in done or ["nothing to do: tables, TTL and generation are there"]:
            self.stdout.write(line)

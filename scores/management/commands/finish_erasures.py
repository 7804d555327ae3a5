"""`manage.py finish_erasures`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scores.board.scoreboard import get_scoreboard
from scores.rules.errors import ScoreboardError
from scores.upkeep import erasures


class Command(BaseCommand):
    help = (
        "Remove personal data from the ledgers of erased players where that is not finished. Servers do this "
        "in the background. Use the command when none runs. You can stop it and start it again at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = erasures.sweep_erased(get_scoreboard(), progress=self._progress)
        except ScoreboardError as error:
            raise CommandError(f"DynamoDB: {error} Run it again to continue.", returncode=3) from error
        self.stdout.write(f"{done} players finished, none is left")

    def _progress(self, user_id: str, seen: int) -> None:
        self.stderr.write(f"{user_id}: {seen} entries")

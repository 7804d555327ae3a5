"""`manage.py verify_ledger`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scores.board.scoreboard import get_scoreboard
from scores.rules.errors import ScoreboardError
from scores.upkeep.verify import verify_ledger


class Command(BaseCommand):
    help = "Check that every player's ledger adds up to the score. The exit status is 1 if one does not."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checked, broken = verify_ledger(get_scoreboard(), progress=self._progress)
        except ScoreboardError as error:
            raise CommandError(f"DynamoDB: {error}", returncode=2) from error
        for player in broken:
            self.stdout.write(f"{player.user_id}: {player.problem}")
        self.stdout.write(f"{checked} players checked, {len(broken)} broken")
        if broken:
            sys.exit(1)

    def _progress(self, done: int, total: int) -> None:
        if done == total or done % 100 == 0:
            self.stderr.write(f"checked {done} of {total}")

"""`manage.py rebuild_ranking`."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scores import maintenance, merging, repository
from scores.errors import ScoreboardError, Unavailable
from scores.ranking import RankingUnavailable

WATCH_EVERY_S = 5.0


class Command(BaseCommand):
    help = "Merge the table into the ranking and declare it ready. Safe at any time, with live traffic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--full", action="store_true", help="every player, so that ranks are known")
        parser.add_argument(
            "--pace",
            type=float,
            help="read at most this many players per second (default: as fast as it goes)",
        )
        parser.add_argument(
            "--watch",
            action="store_true",
            help="with --full: stay, and fill again whenever the ranking is lost",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"] and not options["full"]:
            raise CommandError("--watch needs --full")
        while True:
            try:
                if not options["watch"] or not self._is_full():
                    done = maintenance.rebuild_ranking(
                        full=options["full"], pace=options["pace"], progress=self._progress
                    )
                    if not done and not options["watch"]:
                        raise CommandError("another process is at it, or the ranking was flushed: try again")
                    if done:
                        self.stdout.write("the ranking is ready" + (" and full" if options["full"] else ""))
            except (RankingUnavailable, ScoreboardError) as error:
                if not options["watch"]:
                    raise CommandError(f"{type(error).__name__}: {error}") from error
                self.stderr.write(f"will try again: {type(error).__name__}: {error}")
            if not options["watch"]:
                return
            time.sleep(WATCH_EVERY_S)

    def _is_full(self) -> bool:
        try:
            return merging.use_generation(repository.read_state().generation).is_full()
        except Unavailable:
            return False

    def _progress(self, merged: int) -> None:
        if merged % 10_000 < 200:
            self.stderr.write(f"{merged} players merged")

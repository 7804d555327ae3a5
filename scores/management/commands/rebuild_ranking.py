"""`manage.py rebuild_ranking`."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scores.board.scoreboard import get_scoreboard
from scores.rules.errors import ScoreboardError, Unavailable
from scores.stores.cache import RankingUnavailable
from scores.upkeep.rebuild import FLOOR_GRACE_MS, rebuild_ranking

WATCH_EVERY_S = 1.0


class Command(BaseCommand):
    help = "Merge the table into the ranking and mark it ready. Safe at any time, with live traffic."

    #: The last drop of the floor (ms) that was followed by a scan.
    _scanned_after: int | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--full", action="store_true", help="merge every player, so that ranks are known")
        parser.add_argument(
            "--pace",
            type=float,
            help="read at most this many players per second (default: no limit)",
        )
        parser.add_argument(
            "--watch",
            action="store_true",
            help="with --full: keep running, and fill the ranking again when it is lost",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"] and not options["full"]:
            raise CommandError("--watch needs --full")
        while True:
            try:
                if not options["watch"] or self._is_wanted():
                    done = rebuild_ranking(
                        get_scoreboard(), full=options["full"], pace=options["pace"], progress=self._progress
                    )
                    if not done and not options["watch"]:
                        raise CommandError(
                            "another process is rebuilding, or the ranking was flushed: try again"
                        )
                    if done:
                        self.stdout.write("the ranking is ready" + (" and full" if options["full"] else ""))
            except (RankingUnavailable, ScoreboardError) as error:
                if not options["watch"]:
                    raise CommandError(f"{type(error).__name__}: {error}") from error
                self.stderr.write(f"will try again: {type(error).__name__}: {error}")
            if not options["watch"]:
                return
            time.sleep(WATCH_EVERY_S)

    def _is_wanted(self) -> bool:
        """Whether the ranking is not full, or a dropped floor needs a scan, at once and after its grace."""
        try:
            state = get_scoreboard().players.read_state()
            if not get_scoreboard().use_generation(state.generation).is_full():
                return True
        except Unavailable:
            return True
        if state.floor_dropped_at is None:
            return False
        dropped_at = int(state.floor_dropped_at)
        seen, self._scanned_after = self._scanned_after == dropped_at, dropped_at
        return not seen or get_scoreboard().now_ms() >= dropped_at + FLOOR_GRACE_MS

    def _progress(self, merged: int) -> None:
        if merged % 10_000 < 200:
            self.stderr.write(f"{merged} players merged")

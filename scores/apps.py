from __future__ import annotations

from django.apps import AppConfig


class ScoresConfig(AppConfig):
    """Makes the one Scoreboard of this process (scores.board.scoreboard.get_scoreboard)."""

    name = "scores"

    def ready(self) -> None:
        from scores import checks  # noqa: F401 - registers the system checks
        from scores.board.scoreboard import scoreboard_from_settings
        from scores.telemetry import metrics, reporting

        self.scoreboard = scoreboard_from_settings()
        metrics.watch(metrics.CACHE_DOWN, lambda: self.scoreboard.cache.breaker.is_open)
        reporting.start()

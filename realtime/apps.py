from __future__ import annotations

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    """Announces every change of the board, in whichever process it happens."""

    name = "realtime"

    def ready(self) -> None:
        from realtime.hub.broadcaster import Broadcaster
        from scores.board.scoreboard import board_changed

        self.broadcaster = Broadcaster()
        board_changed.connect(self.broadcaster.board_changed, weak=False, dispatch_uid="broadcaster")

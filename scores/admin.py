"""Where Django looks for the admin pages of this app. They are in scores/moderation/."""

from scores.moderation import admin_players

__all__ = ["admin_players"]

"""What the relational database knows of players: nothing, but who may see and who may moderate them.

Django's permissions belong to a model, so there is one, without a table. Imported by the admin site only.
"""

from __future__ import annotations

from django.db import models

VIEW = "scores.view_player"
MODERATE = "scores.moderate_player"


class Player(models.Model):
    """Stands for scoring.Player where Django's admin needs a model; never stored, never read."""

    user_id = models.CharField(primary_key=True, max_length=128)

    class Meta:
        app_label = "scores"
        managed = False
        default_permissions = ("view",)
        permissions = [("moderate_player", "Can moderate players")]

    def __str__(self) -> str:
        return self.user_id

"""The permissions to see and to moderate players. Imported by the admin site only.

Django attaches permissions to models, so there is a model without a table.
"""

from __future__ import annotations

from django.db import models

VIEW = "scores.view_player"
MODERATE = "scores.moderate_player"


class Player(models.Model):
    """The model that Django's admin needs. It is never stored or read; players are in DynamoDB."""

    user_id = models.CharField(primary_key=True, max_length=128)

    class Meta:
        app_label = "scores"
        managed = False
        default_permissions = ("view",)
        permissions = [("moderate_player", "Can moderate players")]

    def __str__(self) -> str:
        return self.user_id

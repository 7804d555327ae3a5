"""The admin site of the moderators. Its first page shows the queues and the board."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver

from scores.board.scoreboard import get_scoreboard
from scores.moderation import review
from scores.moderation.access import VIEW
from scores.rules.errors import ScoreboardError
from scores.rules.names import label


class ModerationSite(admin.AdminSite):
    site_header = site_title = "Moderation"
    index_title = "Moderation"
    enable_nav_sidebar = False
    empty_value_display = "–"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return super().each_context(request) | {"board_title": settings.SCOREBOARD_TITLE}

    def get_urls(self) -> list[URLResolver | URLPattern]:
        # "View on site" opens any object of any model by number. Ours are not in a database.
        return [each for each in super().get_urls() if getattr(each, "name", None) != "view_on_site"]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        context: dict[str, Any] = {"may_view": request.user.has_perm(VIEW)}
        if context["may_view"]:
            try:
                sizes = review.queue_sizes(get_scoreboard())
                rows, _ = review.boards(get_scoreboard(), changed=[])
                context["queues"] = [
                    {"state": state.value, "size": size, "more": size == review.MOST_COUNTED}
                    for state, size in sizes.items()
                ]
                context["rows"] = [
                    {
                        "row": row,
                        "rank": row.rank,
                        "label": label(row.user_id, row.name),
                        "score": f"{row.score:,}",
                    }
                    for row in rows
                ]
            except ScoreboardError as error:
                context["problem"] = str(error)
        return super().index(request, (extra_context or {}) | context)

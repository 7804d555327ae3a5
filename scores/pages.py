"""The scoreboard page."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from scores import services
from scores.errors import Unavailable
from scores.presentation import page_rows
from scores.scoring import Board
from scores.views import board_headers

#: ES modules the page loads, so that the browser need not discover them one after the other.
MODULES = ["feed", "view", "flip", "countup", "movement", "format"]
VIEWS = {"wall"}


def page(request: HttpRequest) -> HttpResponse:
    """The scoreboard with the current rows in it; `?view=wall` for a display on a wall."""
    board = _board()
    view = request.GET.get("view")
    context = {
        "title": settings.SCOREBOARD_TITLE,
        "view": view if view in VIEWS else None,
        "board": board,
        "rows": page_rows(board) if board else [],
        "as_of": f"{board.as_of_text[11:19]} UTC" if board else "",
        "modules": [f"scoreboard/{name}.js" for name in MODULES],
    }
    response = render(request, "scoreboard.html", context)
    for name, value in (board_headers(board) if board else {"Cache-Control": "no-store"}).items():
        response[name] = value
    return response


def _board() -> Board | None:
    """The board as everybody may see it, or None: it is private, or not to be had right now."""
    if not settings.SCOREBOARD_PUBLIC:
        return None
    try:
        return services.get_board()
    except Unavailable:
        return None

"""The scoreboard page, and the sign-in of its demo."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from scores.api import problems
from scores.api.display import page_rows
from scores.api.views import board_headers
from scores.board.reading import get_board
from scores.board.scoreboard import get_scoreboard
from scores.identity import local_issuer
from scores.rules.boards import Board
from scores.rules.errors import Unavailable
from scores.rules.names import MAX_CHARS

#: ES modules the page loads, so that the browser need not discover them one after the other.
MODULES = ["feed", "account", "standing", "view", "panel", "flip", "countup", "movement", "format"]
VIEWS = {"wall"}
#: Shown instead of rows.
EMPTY = {
    "none": "No scores yet. The first one takes the gold.",
    "private": "This board is private. Sign in to see it.",
}


def page(request: HttpRequest, *, socket_path: str) -> HttpResponse:
    """The scoreboard with the current rows in it; `?view=wall` for a display on a wall.

    `socket_path` is where its socket is.
    """
    if request.method not in ("GET", "HEAD"):
        return problems.method_not_allowed(request, "GET", "HEAD")
    board = _board()
    view = request.GET.get("view")
    context = {
        "title": settings.SCOREBOARD_TITLE,
        "view": view if view in VIEWS else None,
        "board": board,
        "rows": page_rows(board) if board else [],
        "as_of": f"{board.as_of_text[11:19]} UTC" if board else "",
        "private": not settings.SCOREBOARD_PUBLIC,
        "empty": EMPTY,
        "socket_path": socket_path,
        "account": _account(),
        "max_name": MAX_CHARS,
        "modules": [f"scoreboard/{name}.js" for name in MODULES],
    }
    response = render(request, "scoreboard.html", context)
    for name, value in (board_headers(board) if board else {"Cache-Control": "no-store"}).items():
        response[name] = value
    return response


def _account() -> dict[str, str] | None:
    """How visitors sign in: at the pool's hosted pages, as a guest of the demo, or not at all (None)."""
    if settings.COGNITO_DOMAIN:
        return {"domain": settings.COGNITO_DOMAIN, "client_id": settings.COGNITO_WEB_CLIENT_ID}
    if settings.LOCAL_ISSUER:
        return {"demo_url": reverse("demo-sign-in")}
    return None


def demo_sign_in(request: HttpRequest) -> HttpResponse:
    """A token of the local issuer for a new guest. Routed in development only."""
    if request.method != "POST":
        return problems.method_not_allowed(request, "POST")
    user_id = f"guest-{secrets.token_hex(3)}"
    answer = {"userId": user_id, "accessToken": local_issuer.mint(user_id)}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _board() -> Board | None:
    """The board that everybody may see; None when it is private, or cannot be read right now."""
    if not settings.SCOREBOARD_PUBLIC:
        return None
    try:
        return get_board(get_scoreboard())
    except Unavailable:
        return None

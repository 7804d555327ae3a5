"""The pages of the admin site: lists, a player's page, and a form for each action.

Players are not in the relational database, so these are views of our own, and each checks its permission.
Each action is one call of `moderating.moderate`, with the version that was rendered into the form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from ulid import ULID

from scores.board.scoreboard import get_scoreboard
from scores.moderation import activity, review
from scores.moderation.access import MODERATE, VIEW
from scores.moderation.access import Player as PlayerModel
from scores.moderation.admin_actions import FormPage, attempt, item_in, preview, rendered_in, result
from scores.moderation.admin_forms import FORMS
from scores.moderation.admin_presentation import done, entry_line, name_of, player_lines, state_of, when
from scores.rules.actions import Action, possible_actions
from scores.rules.players import ID_PATTERN, State

View = Callable[..., HttpResponse]

#: Entries of a ledger on one page.
ENTRIES_PER_PAGE = 100
#: Size of the curve of a score, in SVG units.
CURVE_WIDTH, CURVE_HEIGHT = 600, 120
#: Actions on many players at once.
BULK_ACTIONS = (Action.HIDE, Action.BAN)


@admin.register(PlayerModel)
class PlayerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Everything under /admin/scores/player/."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        return [
            path("", self._needs(VIEW, self.list_view), name="scores_player_changelist"),
            path("id/<str:user_id>/", self._needs(VIEW, self.player_view), name="scores_player_change"),
            path(
                "id/<str:user_id>/<str:action>/",
                self._needs(MODERATE, self.action_view),
                name="scores_player_action",
            ),
            path("bulk/<str:action>/", self._needs(MODERATE, self.bulk_view), name="scores_player_bulk"),
        ]

    def _needs(self, permission: str, view: View) -> View:
        """`view` for signed-in users of the admin site with this permission."""

        @wraps(view)
        def guarded(request: HttpRequest, **kwargs: str) -> HttpResponse:
            if not request.user.has_perm(permission):
                raise PermissionDenied
            return view(request, **kwargs)

        wrapped: View = self.admin_site.admin_view(guarded)
        return wrapped

    def _page(
        self, request: HttpRequest, name: str, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        every = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "may_moderate": request.user.has_perm(MODERATE),
        }
        return render(request, f"admin/scores/player/{name}.html", every | context, status=status)

    # --- Lists ---------------------------------------------------------------------------------------

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """The players by rank, in a queue (`?state=`), or found by a search (`?q=`)."""
        text, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
        if text:
            title = f"Players found for “{text[:200]}”"
            listed = review.find(get_scoreboard(), text=text[:200])
        elif state:
            title = f"{state.title()} players"
            listed = review.queue(
                get_scoreboard(), state=_state(state), after=request.GET.get("after", "")[:200]
            )
        else:
            title = "Players by rank"
            listed = review.ranked(get_scoreboard(), page=_page_number(request))
        context = {
            "title": title,
            "lines": player_lines(listed.players, listed.first_rank, get_scoreboard().now_ms()),
            "listed": listed,
            "query": text,
            "state": state,
            "states": [each.value for each in review.QUEUES],
            "next": _next_page(state, listed.next_place),
            "bulk_actions": BULK_ACTIONS,
        }
        return self._page(request, "list", context)

    # --- One player ----------------------------------------------------------------------------------

    def player_view(self, request: HttpRequest, user_id: str) -> HttpResponse:
        """A player with the ledger, the signals and the possible actions."""
        case = review.case(get_scoreboard(), user_id=user_id) if ID_PATTERN.fullmatch(user_id) else None
        if case is None:
            raise Http404("There is no player with this id.")
        now = get_scoreboard().now_ms()
        found = activity.signals(case.entries, now)
        curve = activity.curve(case.entries, now, CURVE_WIDTH, CURVE_HEIGHT)
        ledger = Paginator(case.entries, ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
        context = {
            "title": name_of(case.player),
            "case": case,
            "player": case.player,
            "state": state_of(case.player, now),
            "reached_at": when(case.player.reached_at),
            "score": f"{case.player.score:,}",
            "signals": found,
            "figures": {
                "rank": f"{case.rank or 0:,}",
                "total": f"{case.total or 0:,}",
                "highest": f"{curve.highest:,}" if curve else "",
                "largest": f"{found.largest:,}",
                "tickets": f"{found.ticket_points:,}",
                "plain": f"{found.plain_points:,}",
            },
            "curve": curve,
            "curve_from": when(curve.start) if curve else "",
            "curve_to": when(curve.end) if curve else "",
            "curve_size": (CURVE_WIDTH, CURVE_HEIGHT),
            "page": ledger,
            "ledger": [entry_line(entry) for entry in ledger],
            "moderations": [entry_line(entry) for entry in case.moderations],
            "actions": possible_actions(case.player.state),
            "most_entries": review.MOST_ENTRIES,
        }
        return self._page(request, "player", context)

    def action_view(self, request: HttpRequest, user_id: str, action: str) -> HttpResponse:
        """The form of one action. It shows the board after the action, then carries it out."""
        known = review.players(get_scoreboard(), [user_id]) if ID_PATTERN.fullmatch(user_id) else []
        if not known:
            raise Http404("There is no player with this id.")
        asked = _action(action)
        form = FORMS[asked](request.POST if request.method == "POST" else None)
        page = FormPage(known[0])
        if request.method == "POST":
            version, ulid = rendered_in(request.POST.get("version", ""), request.POST.get("entry", ""))
            page = FormPage(known[0], version, ulid)
            if version > page.player.version:
                raise BadRequest
            if "preview" not in request.POST and form.is_valid():
                page = attempt(get_scoreboard(), request.user.get_username(), page, asked, form)
                if page.done:
                    messages.success(request, done(asked, page.player))
                    return redirect("admin:scores_player_change", user_id=user_id)
        player = page.player
        context: dict[str, Any] = {
            "title": f"{asked.value.title()}: {name_of(player)}",
            "action": asked.value,
            "player": player,
            "name": name_of(player),
            "score": f"{player.score:,}",
            "state": state_of(player, get_scoreboard().now_ms()),
            "form": form,
            "stale": page.stale,
            "entered": [],
        }
        if page.stale:  # show the changes; the next attempt is another action
            entered = review.since(get_scoreboard(), user_id=user_id, version=page.version)
            context["entered"] = [entry_line(entry) for entry in entered]
            page = FormPage(player, status=page.status)
        context |= {
            "version": page.version,
            "entry": page.ulid,
            **preview(get_scoreboard(), [player], asked, form),
        }
        if request.POST.get("preview") == "only":
            # For the page's script. Without messages: one of an action that runs at the same time is kept.
            return render(request, "admin/scores/player/preview.html", context, status=page.status)
        return self._page(request, "action", context, page.status)

    # --- Many players --------------------------------------------------------------------------------

    def bulk_view(self, request: HttpRequest, action: str) -> HttpResponse:
        """Hide or ban the players chosen in a list: first a form, then a result for each player.

        With `Accept: application/json` the results are JSON. The page's script sends one player at a time.
        """
        asked = _action(action)
        if asked not in BULK_ACTIONS:
            raise Http404
        if request.method != "POST":
            return redirect("admin:scores_player_changelist")
        in_json = not request.accepts("text/html")
        confirmed = "item" in request.POST
        form = FORMS[asked](request.POST if confirmed else None)
        items = [item_in(text) for text in request.POST.getlist("item")]
        if confirmed and form.is_valid():
            results = [
                result(get_scoreboard(), request.user.get_username(), asked, form, item)
                for item in items[: review.PAGE]
            ]
            if in_json:
                return JsonResponse({"results": results})
            return self._page(
                request, "results", {"title": f"{asked.value.title()}: results", "results": results}
            )
        if confirmed and in_json:
            problems = [f"{form[name].label}: {text}" for name, (text, *_) in form.errors.items()]
            return JsonResponse({"detail": " ".join(problems)}, status=400)
        if confirmed:
            rendered = {user_id: f"{version}:{ulid}" for version, ulid, user_id in items}
        else:
            rendered = dict.fromkeys(request.POST.getlist("player"), "")
        players = review.players(
            get_scoreboard(), [u for u in list(rendered)[: review.PAGE] if ID_PATTERN.fullmatch(u)]
        )
        if not players:
            messages.warning(request, "Choose players first.")
            return redirect("admin:scores_player_changelist")
        now = get_scoreboard().now_ms()
        context = {
            "title": f"{asked.value.title()} {len(players)} players",
            "action": asked.value,
            "form": form,
            "chosen": [
                {
                    "player": p,
                    "name": name_of(p),
                    "state": state_of(p, now),
                    "item": f"{rendered[p.user_id] or f'{p.version}:{ULID()}'}:{p.user_id}",
                }
                for p in players
            ],
            **preview(get_scoreboard(), players, asked, form),
        }
        return self._page(request, "bulk", context)


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise Http404 from None


def _state(text: str) -> State:
    if text not in review.QUEUES:
        raise Http404("There is no such list.")
    return State(text)


def _page_number(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _next_page(state: str, place: str | None) -> str:
    if place is None:
        return ""
    return urlencode({"state": state, "after": place} if state else {"page": place})

"""The HTTP API. A view validates, calls one service and responds."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework import permissions, viewsets
from rest_framework.exceptions import MethodNotAllowed, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from scores.api.openapi import describe_me, describe_rename, describe_top10, describe_update
from scores.api.problems import address_of
from scores.api.serializers import NameInput, UpdateInput
from scores.board.adding import add_points
from scores.board.reading import get_board, get_standing
from scores.board.scoreboard import get_scoreboard
from scores.identity.verifier import Identity
from scores.moderation.moderating import rename
from scores.rules import limits, tickets
from scores.rules.boards import Board
from scores.rules.entries import is_placeholder, key_of_header
from scores.rules.errors import Invalid
from scores.telemetry import metrics

BAD_KEY = (
    "Idempotency-Key must be 1 to 128 characters of A-Z a-z 0-9 _ . : @ -, new for every update: "
    "not undefined, null, None, NaN, true or false."
)


class MaySeeBoard(permissions.IsAuthenticated):
    """Anybody while the board is public, else whoever has a token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.SCOREBOARD_PUBLIC or super().has_permission(request, view)


class ScoreViewSet(viewsets.ViewSet):
    """`/score/update`, `/score/top10`, `/score/me` and `/score/me/name`."""

    http_method_names = ["get", "head", "post", "patch", "put"]
    idempotency_key: str | None = None
    user_id: str | None = None
    demand = limits.NO_DEMAND
    #: Query parameters of each action; any other is a 400.
    query_parameters: Mapping[str, frozenset[str]] = {}

    def get_permissions(self) -> Any:
        return [MaySeeBoard()] if self.action == "top10" else super().get_permissions()

    def get_authenticators(self) -> list[Any]:
        # A public board is the same for everybody: a stale token must not hide it.
        action = self.action_map.get((self.request.method or "").lower()) if self.request else None
        return [] if action == "top10" and settings.SCOREBOARD_PUBLIC else super().get_authenticators()

    @describe_update
    def update_score(self, request: Request) -> Response:
        """Raise a player's score, once for each idempotency key."""
        key = self.idempotency_key
        if key is None:
            raise Invalid(BAD_KEY)
        update = UpdateInput(data=request.data)
        update.is_valid(raise_exception=True)
        self.user_id = user_id = update.validated_data["userId"]
        ticket = None
        if "ticket" in update.validated_data:
            ticket = tickets.verify(update.validated_data["ticket"], settings.SCOREBOARD_TICKET_KEYS)
            if is_placeholder(ticket.jti):
                raise Invalid(BAD_KEY)
            self.idempotency_key = ticket.jti
            if "Idempotency-Key" not in request.headers:
                key = ticket.jti
        caller: Identity = request.user  # type: ignore[assignment]
        client_id = caller.client_id if caller.is_server else None
        self.demand = limits.of_update(user_id, address=address_of(request), client_id=client_id)
        accepted = add_points(
            get_scoreboard(),
            user_id=user_id,
            increment=update.validated_data["increment"],
            key=key,
            caller=caller,
            ticket=ticket,
            demand=self.demand,
        )
        headers = {"Cache-Control": "no-store"}
        if accepted.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response({"status": "success", "newScore": accepted.new_score}, headers=headers)

    @describe_top10
    def top10(self, request: Request) -> HttpResponse:
        """The board as a list of rows, with an ETag."""
        board = get_board(get_scoreboard())
        body = json.dumps(board.top10(), ensure_ascii=False, separators=(",", ":")).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = board_headers(board) | {"ETag": etag}
        if _matches(request.headers.get("If-None-Match", ""), etag):
            return HttpResponse(status=304, headers=headers)
        return HttpResponse(body, headers=headers, content_type="application/json")

    @describe_me
    def me(self, request: Request) -> Response:
        """The caller's own score, rank and distance to the board."""
        caller: Identity = request.user  # type: ignore[assignment]
        self.demand = limits.of_read(caller.subject)
        get_scoreboard().local_limiter.settle(self.demand)
        standing = get_standing(get_scoreboard(), user_id=caller.subject)
        return Response(standing.to_dict(), headers={"Cache-Control": "private, no-store"})

    @describe_rename
    def rename(self, request: Request) -> Response:
        """Give the caller a display name, or none."""
        chosen = NameInput(data=request.data)
        chosen.is_valid(raise_exception=True)
        caller: Identity = request.user  # type: ignore[assignment]
        self.demand = limits.of_rename(caller.subject)
        get_scoreboard().local_limiter.settle(self.demand)
        name = rename(get_scoreboard(), user_id=caller.subject, name=chosen.validated_data["name"])
        headers = {"Cache-Control": "private, no-store"}
        return Response({"userId": caller.subject, "name": name}, headers=headers)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if self.action in (None, "metadata"):  # before asking who is calling
            raise MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)
        _check_query(request, self.query_parameters.get(self.action, frozenset()))

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        if request.resolver_match and request.resolver_match.url_name == "score-update":
            self.idempotency_key = _key_of(request)
        if "CONTENT_LENGTH" not in request.META and request.method in ("POST", "PATCH", "PUT"):
            _measure_body(request)
        return super().initialize_request(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if request.resolver_match and request.resolver_match.url_name == "score-update":
            # A key that cannot be used is answered with a new one.
            response["Idempotency-Key"] = self.idempotency_key or str(uuid.uuid4())
            _count(request, response)
        for name, value in self.demand.headers().items():
            response[name] = value
        return response


def _check_query(request: Request, known: frozenset[str]) -> None:
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise ValidationError({name[:128]: ["Unknown query parameter."] for name in unknown})


def _key_of(request: HttpRequest) -> str | None:
    """The idempotency key: the header without one pair of quotes, or a new one; None: not a key."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return str(uuid.uuid4())
    return key_of_header(key)


def _count(request: Request, response: Any) -> None:
    """Record how an update was answered."""
    if response.status_code != 200:
        code = response.data.get("code") if isinstance(response.data, dict) else None
        metrics.record(metrics.UPDATES_REFUSED, code=code)
    elif "Idempotent-Replayed" in response:
        metrics.record(metrics.UPDATES_REPLAYED)
    else:
        metrics.record(metrics.UPDATES_ACCEPTED)
        received_at = getattr(request._request, "scope", {}).get("received_at")
        if received_at is not None:
            metrics.record(metrics.UPDATE_TIME, (time.monotonic() - received_at) * 1000)


def _measure_body(request: HttpRequest) -> None:
    # DRF takes a body without a Content-Length (chunked) for an empty one.
    limit = settings.SCOREBOARD_MAX_BODY
    body = request.read(limit + 1)
    request._body = body
    request.META["CONTENT_LENGTH"] = str(len(body))


def _matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110, section 13.1.2: weak comparison with a list of tags."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def board_headers(board: Board) -> dict[str, str]:
    """The headers of every answer that shows a board."""
    return {
        "Board-Revision": str(board.revision),
        "Board-As-Of": board.as_of_text,
        "Cache-Control": "public, max-age=1" if settings.SCOREBOARD_PUBLIC else "private, no-store",
    }

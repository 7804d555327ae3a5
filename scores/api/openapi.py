"""The API's description (`/api/schema`), as far as drf-spectacular does not find it in the code.

The decorators here go on the views. Bodies that come in are described by their serializers, bodies that
go out by the components below, because output is `to_dict()` of our values and not a serializer's.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from scores.api.openapi_errors import NAME_ERRORS, error_response
from scores.api.serializers import NameInput, UpdateInput
from scores.rules.boards import BOARD_SIZE
from scores.rules.names import MAX_CHARS
from scores.rules.players import MAX_SCORE
from scores.rules.tickets import MAX_TICKET_CHARS

_ID = r"[A-Za-z0-9_.:@-]{1,128}"
_SCORE = {"type": "integer", "minimum": 0, "maximum": MAX_SCORE}
_NAME = {"type": ["string", "null"], "maxLength": MAX_CHARS}
_USER_ID = {"type": "string", "pattern": f"^{_ID}$", "description": "Cognito's `sub` of the player."}
_PLACE = {"type": ["integer", "null"], "minimum": 0}


def _object(description: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
    }


#: Bodies of answers.
COMPONENTS: dict[str, Any] = {
    "Accepted": _object("The update counts.", status={"type": "string", "const": "success"}, newScore=_SCORE),
    "Row": _object(
        "One line of the board.",
        rank={"type": "integer", "minimum": 1, "maximum": BOARD_SIZE},
        userId=_USER_ID,
        name=_NAME,
        score=_SCORE,
    ),
    "Board": {
        "type": "array",
        "description": "The Top 10, best first: by score, then by who reached it first.",
        "items": {"$ref": "#/components/schemas/Row"},
        "maxItems": BOARD_SIZE,
    },
    "Standing": _object(
        "A player's place. `rank` and `total` are null until the ranking is completely filled.",
        userId=_USER_ID,
        score=_SCORE,
        rank=_PLACE,
        total=_PLACE,
        pointsToTop10=_SCORE,
    ),
    "Named": _object("The name as it is shown from now on.", userId=_USER_ID, name=_NAME),
    "Problem": _object(
        "What went wrong (RFC 9457). Programs read `code`, people read `detail`.",
        type={"type": "string"},
        title={"type": "string"},
        status={"type": "integer"},
        code={"type": "string"},
        detail={"type": "string"},
    )
    | {"additionalProperties": True},
}

_CHALLENGE = {"type": "string", "examples": ['Bearer realm="scoreboard", error="invalid_token"']}
_SECONDS = {"type": "integer", "minimum": 1}


def _header(name: str, text: str, statuses: list[int], schema: Any = str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, response=statuses, description=text)


def _answer_headers(ok: int, *errors: int) -> list[OpenApiParameter]:
    headers = [_header("X-Request-ID", "Names this request in the server's log.", [ok, *errors])]
    if 401 in errors:
        headers.append(_header("WWW-Authenticate", "RFC 6750.", [401], _CHALLENGE))
    if 429 in errors:
        limited = [ok, 429]
        headers.append(_header("RateLimit-Policy", 'The limits: `"player";q=500;w=5`.', limited))
        headers.append(_header("RateLimit", 'What is left of them: `"player";r=499;t=1`.', limited))
    if waits := [status for status in errors if status in (429, 503)]:
        headers.append(_header("Retry-After", "Seconds to wait.", waits, _SECONDS))
    return headers


def _answers(
    ok: OpenApiResponse, *errors: int, other: dict[int, Any] | None = None
) -> dict[Any, OpenApiResponse]:
    answers: dict[Any, OpenApiResponse] = {(200, "application/json"): ok}
    for status in errors:
        answers[status, "application/problem+json"] = error_response(status, (other or {}).get(status))
    return answers


def _of(component: str, text: str, *examples: Any) -> OpenApiResponse:
    shown = [OpenApiExample(text, value=value, response_only=True) for value in examples]
    return OpenApiResponse({"$ref": f"#/components/schemas/{component}"}, text, shown)


_UPDATE_ERRORS = (400, 401, 403, 409, 413, 415, 422, 429, 503)
_KEY = {"type": "string", "pattern": f'^({_ID}|"{_ID}")$'}


def _update(method: str) -> Any:
    return extend_schema(
        methods=[method],
        operation_id="updateScore" if method == "POST" else "patchScore",
        tags=["scores"],
        summary="Raise a player's score" + ("" if method == "POST" else " (the same as POST)"),
        description=(
            "Counts once for each `Idempotency-Key`, whatever is retried. With a `ticket` its `jti` is "
            "the key. A player's token raises the player's own score; a token with the scope "
            "`scoreboard/score.write` any player's."
        ),
        request=UpdateInput,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                _KEY,
                OpenApiParameter.HEADER,
                description="Name of this update; the same one for every retry of it.",
            ),
            *_answer_headers(200, *_UPDATE_ERRORS),
            _header("Idempotency-Key", "The key of this update.", [200, *_UPDATE_ERRORS]),
            _header("Idempotent-Replayed", "`true`: it had counted before; this is that answer.", [200]),
        ],
        responses=_answers(
            _of("Accepted", "The update counts", {"status": "success", "newScore": 50}), *_UPDATE_ERRORS
        ),
        examples=[
            OpenApiExample("Ten points", value={"userId": "USER-123", "increment": 10}, request_only=True)
        ],
    )


def describe_update(view: Any) -> Any:
    """`POST` and `PATCH /score/update`."""
    return _update("POST")(_update("PATCH")(view))


describe_top10 = extend_schema(
    operation_id="getTop10",
    tags=["scores"],
    summary="The Top 10",
    description="Public, unless the board is private: then it needs a token and is `private, no-store`.",
    auth=[{}, {"CognitoToken": []}],  # type: ignore[list-item]
    parameters=[
        OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An ETag seen before."),
        *_answer_headers(200, 400, 401, 503),
        _header("ETag", "Strong; a hash of the body.", [200, 304]),
        _header("Board-Revision", "Number of this version of the board; only grows.", [200, 304]),
        _header("Board-As-Of", "When this was known to be true.", [200, 304]),
    ],
    responses=_answers(
        _of(
            "Board",
            "The Top 10, best first",
            [{"rank": 1, "userId": "USER-111", "name": None, "score": 100}],
        ),
        400,
        401,
        503,
    )
    | {304: OpenApiResponse(None, "The board with this ETag is still the newest.")},
)

describe_me = extend_schema(
    operation_id="getStanding",
    tags=["players"],
    summary="The caller's own score, rank and distance to the board",
    parameters=_answer_headers(200, 400, 401, 429, 503),
    responses=_answers(
        _of(
            "Standing",
            "The caller's place",
            {"userId": "USER-123", "score": 50, "rank": 12, "total": 300, "pointsToTop10": 7},
        ),
        400,
        401,
        429,
        503,
    ),
)

_NAME_ERRORS = (400, 401, 403, 409, 413, 415, 429, 503)
describe_rename = extend_schema(
    operation_id="setName",
    tags=["players"],
    summary="Give the caller a display name, or none",
    request=NameInput,
    parameters=_answer_headers(200, *_NAME_ERRORS),
    responses=_answers(
        _of("Named", "The name is set", {"userId": "USER-123", "name": "Ada"}),
        *_NAME_ERRORS,
        other=NAME_ERRORS,
    ),
    examples=[
        OpenApiExample("A name", value={"name": "Ada"}, request_only=True),
        OpenApiExample("None", value={"name": None}, request_only=True),
    ],
)


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "scores.identity.authentication.CognitoAuthentication"
    name = "CognitoToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        text = "An access token (not an ID token) of the site's Amazon Cognito user pool."
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": text}


class _Field(OpenApiSerializerFieldExtension):
    schema: dict[str, Any]

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return dict(self.schema)


class IdSchema(_Field):
    target_class = "scores.api.serializers.IdField"
    schema = _USER_ID


class IncrementSchema(_Field):
    target_class = "scores.api.serializers.IncrementField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "integer", "minimum": 1, "maximum": settings.SCOREBOARD_MAX_INCREMENT}


class TicketSchema(_Field):
    target_class = "scores.api.serializers.TicketField"
    schema = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TICKET_CHARS,
        "description": "A JWT in which the site's server vouches for this update (docs/tickets.md).",
    }


class NameSchema(_Field):
    target_class = "scores.api.serializers.NameField"
    schema = {
        "type": "string",
        "minLength": 1,
        "description": f"At most {MAX_CHARS} characters, none of them invisible; some words are reserved.",
    }


#: An accepted update may be sent again, with the key of the answer: it is answered alike.
_RETRY = {
    "operationId": "updateScore",
    "parameters": {"header.Idempotency-Key": "$response.header.Idempotency-Key"},
    "requestBody": "$request.body",
    "description": "The same update once more: it does not count again.",
}
_LOOK = {"operationId": "getTop10", "description": "The board after the update."}


def complete(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Hook of the generator: bodies that go out, no unknown fields in those that come in, and links."""
    schemas = result["components"]["schemas"]
    for schema in schemas.values():
        schema["additionalProperties"] = False
    schemas |= COMPONENTS
    for operation in result["paths"]["/score/update"].values():
        operation["responses"]["200"]["links"] = {"Retry": _RETRY, "Look": _LOOK}
    return result

"""How the API's description shows errors: the codes that each status can have, and an example of each."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from scores.api import problems

#: code → the sentence of its example, for each status.
_CODES: dict[int, dict[str, str]] = {
    400: {"invalid": "The request is not valid."},
    401: {"unauthorized": "No access token, or not a valid one."},
    403: {
        "forbidden": "You may not change this player's score.",
        "banned": "This player is banned.",
        "ticket_required": "An update of this player needs a ticket.",
        "ticket_invalid": "The ticket is not valid for this update.",
        "ticket_expired": "The ticket has expired.",
    },
    409: {"score_limit": "The score cannot grow any further."},
    413: {"too_large": "The request body is larger than 4096 bytes."},
    415: {"unsupported_media_type": "Only JSON in UTF-8 is read."},
    422: {"key_reused": "This idempotency key was used for another update."},
    429: {"rate_limited": "Too many requests: slow down."},
    503: {
        "unavailable": "The service is not available right now.",
        "throttled": "Too much is being written right now.",
        "conflict": "Too many updates of this player at once.",
        "overloaded": "Too many updates at once.",
        "outcome_unknown": "It is not known whether it was counted. Try again with the same Idempotency-Key.",
    },
}
_TEXTS = {
    400: "`invalid`: the request cannot be understood. Nothing was changed.",
    401: "`unauthorized`: no access token, or not a valid one.",
    403: "`forbidden`: another player's score; `banned`; `ticket_required`, `ticket_invalid`, "
    "`ticket_expired`. Nothing was changed.",
    409: "`score_limit`: the score would exceed 2^53 - 1.",
    413: "`too_large`: more than 4096 bytes.",
    415: "`unsupported_media_type`: only JSON in UTF-8.",
    422: "`key_reused`: this key was used for another update.",
    429: "`rate_limited`: wait for `Retry-After` seconds.",
    503: "`unavailable`, `throttled`, `conflict`, `overloaded`: nothing was changed, try again; "
    "`outcome_unknown`: try again with the same key.",
}
#: The answer to a rename that differs.
NAME_ERRORS: dict[int, tuple[str, dict[str, str]]] = {
    403: ("`banned`. Nothing was changed.", {"banned": "This player is banned."}),
    409: ("`refused`: the player was erased.", {"refused": "This moderation is not possible."}),
}


def error_response(status: int, other: tuple[str, dict[str, str]] | None = None) -> OpenApiResponse:
    """The answer with this status; `other` text and codes than usual."""
    text, codes = other or (_TEXTS[status], _CODES[status])
    code = {"type": "string", "enum": list(codes)}
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"type": "object", "properties": {"status": {"const": status}, "code": code}},
        ]
    }
    return OpenApiResponse(schema, text, [_example(status, code, codes[code]) for code in codes])


def _example(status: int, code: str, detail: str) -> OpenApiExample:
    body, _ = problems.problem(status, code, detail)
    return OpenApiExample(code, value=body, response_only=True)

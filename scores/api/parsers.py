"""Strict JSON in, JSON out. The fields of a body are in scores/api/serializers.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from scores.api.content_types import read_content_type
from scores.rules.errors import Invalid, TooLarge


class StrictJSONParser(BaseParser):
    """UTF-8 JSON of at most 4 KiB, without duplicate keys, floats, NaN or Infinity."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises Invalid or TooLarge."""
        body = stream.read(settings.SCOREBOARD_MAX_BODY + 1)
        if len(body) > settings.SCOREBOARD_MAX_BODY:
            raise TooLarge
        try:
            text = body.decode("utf-8")
            value = json.loads(
                text,
                object_pairs_hook=_object,
                parse_float=_no_float,
                parse_constant=_no_float,
            )
            if "\\u" in text:  # half of a surrogate pair is not text, and cannot be sent back
                json.dumps(value, ensure_ascii=False).encode("utf-8")
            return value
        except (ValueError, RecursionError) as error:
            raise Invalid("The body is not valid JSON.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid("The body names a field twice.")
    return found


def _no_float(text: str) -> NoReturn:
    raise Invalid(f"{text[:20]} is not an integer.")


class OnlyJSON(BaseContentNegotiation):
    """Answers are JSON whatever `Accept` says; a request body must be declared as JSON in UTF-8."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        essence, utf_8, _ = read_content_type(request.content_type or "")
        return next(iter(parsers)) if essence == "application/json" and utf_8 else None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type

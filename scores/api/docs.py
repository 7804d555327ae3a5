"""`/api/schema` and `/api/docs`: the description of the API, for programs and for people."""

from __future__ import annotations

import functools
import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator

from scores.api import problems


def generate() -> dict[str, Any]:
    """The OpenAPI document of the routes as they are now."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


@functools.cache
def _document() -> bytes:
    return json.dumps(generate(), ensure_ascii=False).encode()


def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document."""
    return _get_only(request) or _cached(HttpResponse(_document(), content_type="application/json"))


def docs(request: HttpRequest) -> HttpResponse:
    """Swagger UI, from our own static files, without inline code."""
    return _get_only(request) or _cached(render(request, "api_docs.html"))


def _cached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "max-age=60"
    return response


def _get_only(request: HttpRequest) -> HttpResponse | None:
    if request.method in ("GET", "HEAD"):
        return None
    return problems.method_not_allowed(request, "GET", "HEAD")

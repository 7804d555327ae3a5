"""Static files straight from the source folders, for development."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.http import HttpRequest, HttpResponse

from scores.api import problems


def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """One static file, whole: Django's own view streams, which an ASGI server does less well."""
    try:
        content = Path(finders.find(path) or "").read_bytes()
    except (SuspiciousFileOperation, OSError, ValueError):  # outside, not a file, or not a file's name
        return problems.not_found(request)
    content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = {"Cache-Control": "no-cache"}
    return HttpResponse(content, headers=headers, content_type=content_type)

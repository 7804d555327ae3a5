"""Static files straight from the source folders, for development."""

import mimetypes
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse

from scores.api import problems


def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """One static file, whole: Django's own view streams, which an ASGI server does less well."""
    found = finders.find(path)
    if not found:
        return problems.not_found(request)
    content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = {"Cache-Control": "no-cache"}
    return HttpResponse(Path(found).read_bytes(), headers=headers, content_type=content_type)

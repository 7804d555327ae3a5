"""Static files straight from the source folders, for development."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import cast

from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from scores.api import problems


def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """One static file, whole: Django's own view streams, which an ASGI server does less well."""
    try:
        content = Path(finders.find(path) or "").read_bytes()
    except (SuspiciousFileOperation, OSError, ValueError):  # outside, not a file, or not a file's name
        return problems.not_found(request)
    content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag}
    response = HttpResponse(content, headers=headers, content_type=content_type)
    return cast(HttpResponse, get_conditional_response(request, etag, response=response))

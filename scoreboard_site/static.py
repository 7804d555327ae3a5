"""Static files straight from the source folders, for development."""

from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.views.static import serve

from scores import problems


def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """One static file, whole: Django's own view streams, which an ASGI server does less well."""
    found = finders.find(path)
    if not found:
        return problems.not_found(request)
    streamed = serve(request, Path(found).name, document_root=str(Path(found).parent))
    if not streamed.streaming:
        return streamed  # 304
    response = HttpResponse(b"".join(streamed.streaming_content), headers=dict(streamed.headers))  # type: ignore[attr-defined]
    streamed.close()
    return response

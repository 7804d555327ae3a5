"""Reports of unexpected errors to Sentry: what was logged as an error, without anybody's data.

Nothing is loaded without a DSN. No request, no variable, no user is in a report, and what could be a
secret is taken out as it is out of the log.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from scores.telemetry import logs
from scores.telemetry.redaction import without_secrets


def start() -> None:
    """Begin; nothing happens unless SENTRY_DSN is set."""
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    sentry_sdk.init(
        settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        release=settings.SENTRY_RELEASE or None,
        # Every exception that reaches Django is logged; the other integrations would add the request to it.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR),
            ExcepthookIntegration(),
            ThreadingIntegration(),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda pending, timeout: None),
        ],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=_clean,
    )


def _clean(event: Any, hint: dict[str, Any]) -> Any:
    """The report as it may leave: without extras and secrets, with the ids that the log has."""
    for name in ("extra", "user", "request", "breadcrumbs"):
        event.pop(name, None)
    ids = {"requestId": logs.request_id.get(), "traceId": logs.trace_id()}
    event["tags"] = {name: value for name, value in ids.items() if value}
    return _without_secrets(event)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    return value

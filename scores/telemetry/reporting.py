"""Reports logged errors to Sentry. Loads nothing without a DSN.

A report has no request, no variables and no user. Secrets are removed from it as they are from the log.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from scores.telemetry import logs
from scores.telemetry.redaction import without_secrets


def start() -> None:
    """Start to report, if SENTRY_DSN is set."""
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
        # Django logs every exception that reaches it. The other integrations would add the request.
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
    """The report without extras and secrets, with the same ids as in the log."""
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

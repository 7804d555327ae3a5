"""The filter and the formats of the log: ids of request and trace, no secrets, a line or a JSON object.

A record may carry `extra={"fields": {...}}`, which both formats show.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import redis

from scores.telemetry.redaction import without_secrets

#: Most characters of a message, and of one field.
MAX_MESSAGE, MAX_FIELD = 8192, 1024

#: Id of the current request, if there is one.
request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)


def _no_trace() -> str | None:
    return None


#: Returns the id of the current trace. scores/telemetry/tracing.py replaces it.
trace_id: Callable[[], str | None] = _no_trace

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _one_line(text: str, limit: int) -> str:
    """`text` on one line, so that a client cannot forge a line of the log, and at most `limit` characters."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", without_secrets(text, limit))


class WithoutTraceback(logging.Filter):
    """Logs a lost connection as one warning without a traceback. For the loggers of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError | redis.RedisError):
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}", None
            record.exc_info = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


class Redact(logging.Filter):
    """Removes secrets from a record and adds the ids of request and trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # a wrong format string must not stop a request
            message = str(record.msg)
        record.msg, record.args = _one_line(message, MAX_MESSAGE), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = without_secrets(record.exc_text)
        fields: dict[str, Any] = getattr(record, "fields", {})
        record.fields = {
            name: _one_line(value, MAX_FIELD) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        record.request_id, record.trace_id = request_id.get(), trace_id()
        return True


class LineFormatter(logging.Formatter):
    """For people: the message, then `name=value` for each field."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items())
        record.message = f"{record.msg} {fields}" if fields else str(record.msg)
        record.asctime = self.formatTime(record)
        text = self.formatMessage(record)
        return f"{text}\n{record.exc_text}" if record.exc_text else text


class JSONFormatter(logging.Formatter):
    """For machines: one object per line, times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if getattr(record, "request_id", None):
            line["requestId"] = record.request_id  # type: ignore[attr-defined]
        if getattr(record, "trace_id", None):
            line["traceId"] = record.trace_id  # type: ignore[attr-defined]
        line |= getattr(record, "fields", {})
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)

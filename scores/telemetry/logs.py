"""How log records leave the process: with the ids of request and trace, without secrets, as line or JSON.

Imports nothing of ours. A record may carry `extra={"fields": {...}}`, which both formats show.
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

#: Id of the request that is being answered, if any.
request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)


def _no_trace() -> str | None:
    return None


#: Gives the id of the trace that the current work belongs to; scores/telemetry/tracing.py puts another here.
trace_id: Callable[[], str | None] = _no_trace

_SECRETS = [
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"\beyJ[\w-]{4,}(?:\.[\w-]*){1,4}", "[token]"),
        (r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}", r"\1 [token]"),
        (r"(\w+://)[^\s/@]*@", r"\1[secret]@"),
        (r"\b[\w.%+-]+@[\w-]+(?:\.[\w-]+)+", "[e-mail]"),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "[access key]"),
        (r"(?i)(secret\w*|password)(['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|\S+)", r"\1\2[secret]"),
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", "[key]"),
    )
]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def without_secrets(text: str) -> str:
    """`text` with tokens, keys, credentials in addresses and e-mail addresses taken out."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _one_line(text: str) -> str:
    # What a client sent must not look like another line of the log.
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", without_secrets(text))


class WithoutTraceback(logging.Filter):
    """For the logger of a library: that Redis went away is worth a line, and no traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError | redis.RedisError):
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}", None
            record.exc_info = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


class Redact(logging.Filter):
    """Takes secrets out of a record, for every handler that comes after."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # a wrong format string must not stop a request
            message = str(record.msg)
        record.msg, record.args = _one_line(message), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = without_secrets(record.exc_text)
        fields: dict[str, Any] = getattr(record, "fields", {})
        record.fields = {
            name: _one_line(value) if isinstance(value, str) else value for name, value in fields.items()
        }
        record.request_id, record.trace_id = request_id.get(), trace_id()
        return True


class LineFormatter(logging.Formatter):
    """For people: a line, then `name=value` for each field."""

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

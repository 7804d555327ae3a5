"""System checks of the settings, shown by `manage.py check`. Each id stands for one rule."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from scores.rules.players import MAX_SCORE
from scores.rules.tickets import MIN_KEY_BYTES


@register(Tags.compatibility)
def check_names(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is set, but there is no such setting.",
            hint=f"Did you mean {likely}?" if likely else None,
            id="scoreboard.W004",
        )
        for name, likely in settings.SCOREBOARD_MISSPELT.items()
    ]


@register(Tags.compatibility)
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if not 1 <= settings.SCOREBOARD_MAX_INCREMENT <= MAX_SCORE:
        problems.append(Error(f"SCOREBOARD_MAX_INCREMENT must be 1 … {MAX_SCORE}.", id="scoreboard.E001"))
    if settings.SCOREBOARD_LEDGER_DAYS < 2:
        hint = "A client may retry an update for up to 48 hours."
        problems.append(Error("SCOREBOARD_LEDGER_DAYS must be at least 2.", hint=hint, id="scoreboard.E002"))
    if settings.SCOREBOARD_MAX_CONNECTIONS < 1:
        problems.append(Error("SCOREBOARD_MAX_CONNECTIONS must be at least 1.", id="scoreboard.E003"))
    for name in ("SCOREBOARD_MAX_WRITES", "SCOREBOARD_MAX_READS"):
        if getattr(settings, name) < 1:
            problems.append(Error(f"{name} must be at least 1.", id="scoreboard.E020"))
    if not 1 <= settings.AXES_FAILURE_LIMIT <= settings.SCOREBOARD_ADMIN_ADDRESS_FAILURES:
        text = "SCOREBOARD_ADMIN_FAILURES must be 1 … SCOREBOARD_ADMIN_ADDRESS_FAILURES."
        problems.append(Error(text, id="scoreboard.E022"))
    for name in ("SCOREBOARD_MAX_SOCKETS", "SCOREBOARD_MAX_SOCKETS_PER_ADDRESS"):
        if getattr(settings, name) < 0:
            problems.append(Error(f"{name} must not be negative; 0 means no limit.", id="scoreboard.E021"))
    return problems


@register(Tags.compatibility)
def check_observability(**kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if not 0 <= settings.SCOREBOARD_METRICS_EVERY_S <= 300:
        problems.append(Error("SCOREBOARD_METRICS_EVERY_S must be 0 … 300.", id="scoreboard.E030"))
    if not 0 <= settings.OTEL_TRACES_SAMPLER_ARG <= 1:
        problems.append(Error("OTEL_TRACES_SAMPLER_ARG must be 0 … 1.", id="scoreboard.E031"))
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        text = "OTEL_EXPORTER_OTLP_ENDPOINT must be an address like http://127.0.0.1:4318."
        problems.append(Error(text, id="scoreboard.E032"))
    return problems


@register(Tags.security)
def check_origins(**kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for origin in settings.SCOREBOARD_ALLOWED_ORIGINS:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
            text = f"SCOREBOARD_ALLOWED_ORIGINS: {origin!r} is not an origin like https://example.com."
            problems.append(Error(text, id="scoreboard.E004"))
    if not settings.SCOREBOARD_ALLOWED_ORIGINS:
        text = "SCOREBOARD_ALLOWED_ORIGINS is empty: no page can open the socket."
        problems.append(Warning(text, id="scoreboard.W001"))
    return problems


@register(Tags.security)
def check_identity(**kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    scheme = urlsplit(settings.COGNITO_KEYSET_URL).scheme
    if not settings.LOCAL_ISSUER:
        if not settings.COGNITO_USER_POOL and not settings.COGNITO_ISSUER.startswith("https://"):
            text = "COGNITO_USER_POOL (or COGNITO_ISSUER and COGNITO_KEYSET_URL) must be set."
            problems.append(Error(text, id="scoreboard.E005"))
        if not settings.COGNITO_CLIENT_IDS:
            text = "COGNITO_CLIENT_IDS is empty: no token would be accepted."
            problems.append(Error(text, id="scoreboard.E006"))
        if scheme != "https" and not settings.DEBUG:
            problems.append(Error("COGNITO_KEYSET_URL must be an https address.", id="scoreboard.E007"))
    if settings.COGNITO_DOMAIN:
        parts = urlsplit(settings.COGNITO_DOMAIN)
        schemes = ("http", "https") if settings.DEBUG else ("https",)
        if parts.scheme not in schemes or not parts.netloc or parts.path or " " in parts.netloc:
            text = "COGNITO_DOMAIN must be an https origin without a path, like https://example.com."
            problems.append(Error(text, id="scoreboard.E011"))
        if settings.COGNITO_WEB_CLIENT_ID not in settings.COGNITO_CLIENT_IDS:
            text = "COGNITO_WEB_CLIENT_ID must be one of COGNITO_CLIENT_IDS, or its tokens are refused."
            problems.append(Error(text, id="scoreboard.E012"))
    if settings.DYNAMODB_ENDPOINT_URL and not settings.DEBUG:
        text = "DYNAMODB_ENDPOINT_URL is set with DEBUG off: scores go to an emulator, not to AWS."
        problems.append(Warning(text, id="scoreboard.W002"))
    return problems


@register(Tags.security)
def check_writers(**kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    keys = settings.SCOREBOARD_TICKET_KEYS
    if settings.SCOREBOARD_REQUIRE_TICKET and not settings.SCOREBOARD_SERVER_ONLY and not keys:
        text = "SCOREBOARD_REQUIRE_TICKET is on without SCOREBOARD_TICKET_KEYS: no player could score."
        problems.append(Error(text, id="scoreboard.E008"))
    for kid, secret in keys.items():
        if len(secret.encode()) < MIN_KEY_BYTES:
            text = f"The key {kid!r} in SCOREBOARD_TICKET_KEYS is shorter than {MIN_KEY_BYTES} bytes."
            problems.append(Error(text, hint="openssl rand -base64 48", id="scoreboard.E009"))
    if not settings.DEBUG and not settings.SCOREBOARD_REQUIRE_TICKET and not settings.SCOREBOARD_SERVER_ONLY:
        text = "Players can give themselves points: their own token is enough to raise their own score."
        hint = "Set SCOREBOARD_REQUIRE_TICKET (docs/tickets.md) or SCOREBOARD_SERVER_ONLY."
        problems.append(Warning(text, hint=hint, id="scoreboard.W003"))
    return problems


@register(Tags.security)
def check_rates(**kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for who in ("PLAYER", "ADDRESS", "CLIENT", "NAME"):
        rate, burst = f"SCOREBOARD_{who}_RATE", f"SCOREBOARD_{who}_BURST"
        if not 0.001 <= getattr(settings, rate) <= 1e6 or not 1 <= getattr(settings, burst) <= 1e6:
            text = f"{rate} must be 0.001 … 1000000, {burst} 1 … 1000000."
            problems.append(Error(text, id="scoreboard.E010"))
    if not 0 <= settings.SCOREBOARD_TRUSTED_PROXIES <= 10:
        problems.append(Error("SCOREBOARD_TRUSTED_PROXIES must be 0 … 10.", id="scoreboard.E013"))
    if not 0 <= settings.SCOREBOARD_TICKET_LEEWAY_S <= 300:
        problems.append(Error("SCOREBOARD_TICKET_LEEWAY_S must be 0 … 300.", id="scoreboard.E014"))
    return problems

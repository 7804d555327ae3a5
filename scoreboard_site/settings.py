"""All settings. Each of our own has a `#:` comment, so that operators can read this file as a manual.

Values come from the environment. A bad value stops the start. The defaults suit a laptop; with DEBUG off, a
setting without a safe default must be set. scores/checks.py checks settings that must agree with each other:
`manage.py check --deploy`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from scoreboard_site.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

#: Development mode, with a local token issuer and static files from this process. Off in production.
DEBUG: bool = env.bool("DEBUG", True)

#: The folder in which `make run` keeps the data of the stores and the key of the local issuer.
DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / ".local"))).absolute()
if DEBUG:
    env.read_env(DATA_DIR / "stack.env")

#: The port of this process. Only used to know its own origins on a laptop.
PORT: int = env.int("PORT", 8000)

SECRET_KEY: str = env.str("SECRET_KEY", "laptop-only" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY must be set when DEBUG is off.")

ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"] if DEBUG else [])
ROOT_URLCONF = "scoreboard_site.urls"
ASGI_APPLICATION = "scoreboard_site.asgi.application"
USE_TZ = True
TIME_ZONE = "UTC"

#: Whether this process serves the moderators' admin site at /admin/. In production, run a second service
#: for it that the public cannot reach (docs/admin.md).
SCOREBOARD_ADMIN: bool = env.bool("SCOREBOARD_ADMIN", DEBUG)

INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",  # static files of Swagger UI
    "scores",
    "realtime",
]
# Plain synchronous functions, so that Django changes threads once per request and not once per layer.
MIDDLEWARE = ["scoreboard_site.middleware.guard"]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {"context_processors": []},
    }
]
DATABASES: dict[str, Any] = {}
# Largest body (bytes) of the API and of the admin site's forms. A larger one is answered with 413.
SCOREBOARD_MAX_BODY = 4096
SCOREBOARD_ADMIN_MAX_BODY = DATA_UPLOAD_MAX_MEMORY_SIZE = 65_536

STATIC_URL: str = env.str("STATIC_URL", "/static/")
#: The folder for `collectstatic`, from which a CDN or nginx serves.
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
#: The S3 bucket for `manage.py publish_static`.
SCOREBOARD_STATIC_BUCKET: str = env.str("SCOREBOARD_STATIC_BUCKET", "")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "scoreboard_site.storage.HashedStaticFilesStorage"
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["scores.identity.authentication.CognitoAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["scores.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "scores.api.parsers.OnlyJSON",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "scores.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Scoreboard",
    "VERSION": "1.0.0",
    "DESCRIPTION": (
        "Raise scores, read the Top 10. Every error is a problem (RFC 9457) with a stable `code`. The live "
        "board is a WebSocket at `/ws/scoreboard`."
    ),
    "LICENSE": {"name": "MIT"},
    "SERVERS": [{"url": "/"}],
    "TAGS": [{"name": "scores"}, {"name": "players"}],
    "COMPONENT_SPLIT_PATCH": False,  # PATCH is the same as POST
    "POSTPROCESSING_HOOKS": ["scores.api.openapi.complete"],
}

# --- Stores -----------------------------------------------------------------------------------------

#: Address of DynamoDB. Empty: AWS in AWS_REGION, with the usual chain of credentials.
DYNAMODB_ENDPOINT_URL: str | None = env.str("DYNAMODB_ENDPOINT_URL", "") or None
AWS_REGION: str = env.str("AWS_REGION", env.str("AWS_DEFAULT_REGION", "us-east-1"))
#: The region of the tables, if not AWS_REGION. `make run` sets it: an emulator has other tables in each.
DYNAMODB_REGION: str = env.str("DYNAMODB_REGION", AWS_REGION)
# An emulator accepts any credentials, but there must be some. On AWS they come from the task role.
_emulated = DYNAMODB_ENDPOINT_URL is not None and not env.str("AWS_ACCESS_KEY_ID", "")
#: The access key of an emulator's tables. `make run` makes one for each data folder.
DYNAMODB_ACCESS_KEY_ID: str | None = env.str("DYNAMODB_ACCESS_KEY_ID", "local" if _emulated else "") or None
DYNAMODB_SECRET_ACCESS_KEY: str | None = "local" if DYNAMODB_ACCESS_KEY_ID else None
#: Prefix of the table names `UserScores` and `ScoreLedger`, for several scoreboards in one account.
SCOREBOARD_TABLE_PREFIX: str = env.str("SCOREBOARD_TABLE_PREFIX", "")
#: Whether this process may read the whole table to fill the ranking. Turn it off where the process
#: `manage.py rebuild_ranking --full --watch` has that right and the web processes do not.
SCOREBOARD_MAY_SCAN: bool = env.bool("SCOREBOARD_MAY_SCAN", True)
#: HTTP connections of a process to DynamoDB, for each table. They limit the useful concurrency.
SCOREBOARD_MAX_CONNECTIONS: int = env.int("SCOREBOARD_MAX_CONNECTIONS", 32)

#: Redis or Valkey (one shard) for the ranking cache and the channel layer. `rediss://` for TLS.
REDIS_URL: str = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_timeout": 1, "socket_connect_timeout": 1}],
            "prefix": "scoreboard",
        },
    }
}

# --- The scoreboard ---------------------------------------------------------------------------------

#: Largest increment of one update (1 … 2^53−1).
SCOREBOARD_MAX_INCREMENT: int = env.int("SCOREBOARD_MAX_INCREMENT", 1000)
#: Days for which the ledger keeps an update with its idempotency key (at least 2).
SCOREBOARD_LEDGER_DAYS: int = env.int("SCOREBOARD_LEDGER_DAYS", 30)
#: Headline of the page.
SCOREBOARD_TITLE: str = env.str("SCOREBOARD_TITLE", "Top 10")
#: Whether everybody may see the board. Off: the Top 10 and the socket need a token.
SCOREBOARD_PUBLIC: bool = env.bool("SCOREBOARD_PUBLIC", True)
#: Origins (scheme://host:port) whose pages may open the socket. While the board is public, clients that send
#: no Origin may open it as well.
SCOREBOARD_ALLOWED_ORIGINS: list[str] = env.list(
    "SCOREBOARD_ALLOWED_ORIGINS",
    default=[f"http://127.0.0.1:{PORT}", f"http://localhost:{PORT}"] if DEBUG else [],
)

# --- Limits of one process --------------------------------------------------------------------------

#: Concurrent updates. More are refused with 503 at once, because each holds a thread.
SCOREBOARD_MAX_WRITES: int = env.int("SCOREBOARD_MAX_WRITES", 64)
#: Concurrent reads. More wait, without a thread.
SCOREBOARD_MAX_READS: int = env.int("SCOREBOARD_MAX_READS", 64)
#: Open sockets. More are refused with 503. 0: as many as the process may open files.
SCOREBOARD_MAX_SOCKETS: int = env.int("SCOREBOARD_MAX_SOCKETS", 15_000)
#: Open sockets from one address (IPv6: one /64). More are refused with 429. 0: no limit.
SCOREBOARD_MAX_SOCKETS_PER_ADDRESS: int = env.int("SCOREBOARD_MAX_SOCKETS_PER_ADDRESS", 0 if DEBUG else 200)

# --- Identity: access tokens of an Amazon Cognito user pool -----------------------------------------

#: Region and id of the user pool. With DEBUG on and no pool, tokens come from `make token`.
COGNITO_AWS_REGION: str = env.str("COGNITO_AWS_REGION", AWS_REGION)
COGNITO_USER_POOL: str = env.str("COGNITO_USER_POOL", "")
LOCAL_ISSUER: bool = DEBUG and not COGNITO_USER_POOL
_pool_url = f"https://cognito-idp.{COGNITO_AWS_REGION}.amazonaws.com/{COGNITO_USER_POOL}"
#: App clients whose tokens are accepted.
COGNITO_CLIENT_IDS: list[str] = env.list("COGNITO_CLIENT_IDS", default=["local"] if LOCAL_ISSUER else [])
#: The `iss` of tokens. Default: that of the pool, in each of its forms.
COGNITO_ISSUER: str = env.str("COGNITO_ISSUER", "urn:scoreboard:local-issuer" if LOCAL_ISSUER else _pool_url)
#: Address of the key set. Default: that of the pool.
COGNITO_KEYSET_URL: str = env.str(
    "COGNITO_KEYSET_URL",
    (DATA_DIR / "issuer" / "jwks.json").as_uri() if LOCAL_ISSUER else f"{_pool_url}/.well-known/jwks.json",
)
#: Origin of the pool's hosted sign-in pages (https://….amazoncognito.com or an own domain). Empty: the page
#: has no sign-in. The callback and sign-out address is that of the page.
COGNITO_DOMAIN: str = env.str("COGNITO_DOMAIN", "")
#: App client of the page: public (no secret), authorization code with PKCE, one of COGNITO_CLIENT_IDS.
COGNITO_WEB_CLIENT_ID: str = env.str("COGNITO_WEB_CLIENT_ID", "")
#: Clock difference (s) tolerated in `exp`, `iat` and `nbf`.
COGNITO_LEEWAY_S: int = env.int("COGNITO_LEEWAY_S", 30)

# --- Who may write, and how often -------------------------------------------------------------------

#: Whether a player's update needs a ticket signed by the site's server (docs/tickets.md). Turn it on in
#: production: without tickets, players can raise their own score with their own token.
SCOREBOARD_REQUIRE_TICKET: bool = env.bool("SCOREBOARD_REQUIRE_TICKET", False)
#: Whether only the site's own server (scope scoreboard/score.write) may write.
SCOREBOARD_SERVER_ONLY: bool = env.bool("SCOREBOARD_SERVER_ONLY", False)
#: Keys that sign tickets, as `id:secret,id:secret`, with secrets of at least 32 bytes. Set two while one
#: replaces the other.
SCOREBOARD_TICKET_KEYS: dict[str, str] = env.pairs("SCOREBOARD_TICKET_KEYS")
#: Name of this service in the `aud` of tickets, such as `scoreboard-prod`. When it is set, a ticket needs an
#: `aud` of this name, a colon and the board's id, and counts on no other service or board.
SCOREBOARD_TICKET_AUDIENCE: str = env.str("SCOREBOARD_TICKET_AUDIENCE", "")
#: Clock difference (s) tolerated in a ticket's `exp`.
SCOREBOARD_TICKET_LEEWAY_S: int = env.int("SCOREBOARD_TICKET_LEEWAY_S", 30)
#: Updates per second of one player, on average and at once, from any sender.
SCOREBOARD_PLAYER_RATE: float = env.float("SCOREBOARD_PLAYER_RATE", 100.0)
SCOREBOARD_PLAYER_BURST: int = env.int("SCOREBOARD_PLAYER_BURST", 500)
#: Updates per second from one address (IPv6: one /64) with players' tokens.
SCOREBOARD_ADDRESS_RATE: float = env.float("SCOREBOARD_ADDRESS_RATE", 500.0)
SCOREBOARD_ADDRESS_BURST: int = env.int("SCOREBOARD_ADDRESS_BURST", 2000)
#: Updates per second of one app client with the write scope. Its address is not limited.
SCOREBOARD_CLIENT_RATE: float = env.float("SCOREBOARD_CLIENT_RATE", 2000.0)
SCOREBOARD_CLIENT_BURST: int = env.int("SCOREBOARD_CLIENT_BURST", 4000)
#: New names per second of one player, per process.
SCOREBOARD_NAME_RATE: float = env.float("SCOREBOARD_NAME_RATE", 1 / 60)
SCOREBOARD_NAME_BURST: int = env.int("SCOREBOARD_NAME_BURST", 5)
#: Number of our own proxies that append to X-Forwarded-For. The client is that entry from the right. 0: the
#: header is ignored. Behind CloudFront and a load balancer: 2.
SCOREBOARD_TRUSTED_PROXIES: int = env.int("SCOREBOARD_TRUSTED_PROXIES", 0)

# --- The admin site: the only part that uses a relational database, sessions and cookies --------------

#: Seconds for which a moderator stays signed in. Closing the browser ends the session as well.
SESSION_COOKIE_AGE: int = env.int("SCOREBOARD_ADMIN_SESSION_S", 8 * 3600)
#: Failed sign-ins until an account is locked for one address, and an address for all accounts.
AXES_FAILURE_LIMIT: int = env.int("SCOREBOARD_ADMIN_FAILURES", 5)
SCOREBOARD_ADMIN_ADDRESS_FAILURES: int = env.int("SCOREBOARD_ADMIN_ADDRESS_FAILURES", 50)
#: Seconds for which they stay locked.
_lockout_s = env.int("SCOREBOARD_ADMIN_LOCKOUT_S", 900)

if SCOREBOARD_ADMIN:
    INSTALLED_APPS += [
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.messages",
        "scoreboard_site.apps.ModeratorsSite",  # django.contrib.admin, with a site of ours
        "axes",
    ]
    MIDDLEWARE.append("scoreboard_site.admin_middleware.for_admin")
    TEMPLATES[0]["APP_DIRS"] = True
    TEMPLATES[0]["OPTIONS"]["context_processors"] = [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]
    #: The accounts of the moderators: postgres://user:password@host:5432/name. Needed with DEBUG off.
    _database = env.database("DATABASE_URL", "")
    if DEBUG and not _database:  # without a URL: the path may hold characters that have a meaning in one
        _database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "admin.sqlite3")}
    if not _database:
        raise ImproperlyConfigured("SCOREBOARD_ADMIN needs DATABASE_URL when DEBUG is off.")
    if _database["ENGINE"].endswith("postgresql"):
        _database.setdefault("OPTIONS", {}).setdefault("connect_timeout", 3)
    DATABASES["default"] = _database
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    }
]
AXES_COOLOFF_TIME = timedelta(seconds=_lockout_s)
AXES_HANDLER = "scoreboard_site.lockout.Lockout"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "admin/locked_out.html"
AXES_CLIENT_IP_CALLABLE = "scoreboard_site.admin_middleware.address_for_lockout"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # else anybody could keep an account locked
AXES_DISABLE_ACCESS_LOG = True  # the logger scores.security has the sign-ins

# --- Headers and cookies (scores/api/headers.py makes the headers) -------------------------------------

#: Seconds for which browsers must use HTTPS only. 0: the header is not sent. A year in production.
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", 0 if DEBUG else 31_536_000)
#: Whether that holds for all subdomains of this host as well.
SECURE_HSTS_INCLUDE_SUBDOMAINS: bool = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
# Not Strict: a link from a mail must find the moderator signed in, and must not replace the CSRF cookie of
# the forms that are open in other tabs.
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
# In the session: messages name players, and the cookie of the default storage is sent to every path.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
# A proxy ends TLS, so a request does not show the scheme of the site's own origin.
CSRF_TRUSTED_ORIGINS = [
    f"https://{'*' if host.startswith('.') else ''}{host}" for host in ALLOWED_HOSTS if host != "*"
]
SILENCED_SYSTEM_CHECKS = [
    "security.W001",  # SecurityMiddleware: our guard sends its headers, also on answers outside Django
    "security.W002",  # X-Frame-Options: our guard sends it
    "security.W003",  # CSRF protection: only the admin site uses cookies, and its views check the token
    "admin.E408",  # Authentication, messages, sessions and lockout: scoreboard_site/admin_middleware.py runs
    "admin.E409",  # them for the admin site only.
    "admin.E410",
    "axes.W002",
]

# --- Metrics, traces and reports of errors ------------------------------------------------------------

#: Interval (s) in which metrics are written to standard output (CloudWatch's embedded format). 0: never.
SCOREBOARD_METRICS_EVERY_S: int = env.int("SCOREBOARD_METRICS_EVERY_S", 0 if DEBUG else 30)
#: CloudWatch namespace of the metrics. Use one for each environment.
SCOREBOARD_METRICS_NAMESPACE: str = env.str("SCOREBOARD_METRICS_NAMESPACE", "Scoreboard")
#: OTLP collector for traces, over HTTP, such as http://127.0.0.1:4318. Empty: no traces.
OTEL_EXPORTER_OTLP_ENDPOINT: str = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
#: Share of requests that are traced (0 … 1), and the name of the service in traces.
OTEL_TRACES_SAMPLER_ARG: float = env.float("OTEL_TRACES_SAMPLER_ARG", 0.05)
OTEL_SERVICE_NAME: str = env.str("OTEL_SERVICE_NAME", "scoreboard")
#: Sentry address for reports of unexpected errors. Empty: they are only logged.
SENTRY_DSN: str = env.str("SENTRY_DSN", "")
#: Environment and release in these reports: `prod`, `dev`, a commit.
SENTRY_ENVIRONMENT: str = env.str("SENTRY_ENVIRONMENT", "production")
SENTRY_RELEASE: str = env.str("SENTRY_RELEASE", "")

# --- Logs: to stderr, without request bodies (botocore and pynamodb would log them at DEBUG) ------------

#: The least severe records that are logged.
LOG_LEVEL: str = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
#: `json`: one object per line, for machines. `line`: text, for people.
LOG_FORMAT: str = env.choice("LOG_FORMAT", "line" if DEBUG else "json", ("line", "json"))
#: A file that also gets the log, for machines that do not collect stderr.
LOG_FILE: str = env.str("LOG_FILE", "")
_handlers: dict[str, Any] = {"stderr": {"class": "logging.StreamHandler"}}
if LOG_FILE:
    _handlers["file"] = {"class": "logging.FileHandler", "filename": LOG_FILE, "delay": True}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redact": {"()": "scores.telemetry.logs.Redact"},
        "without_traceback": {"()": "scores.telemetry.logs.WithoutTraceback"},
        "repetition": {"()": "scores.telemetry.repetition.Repetition"},
    },
    "formatters": {
        "line": {
            "()": "scores.telemetry.logs.LineFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        },
        "json": {"()": "scores.telemetry.logs.JSONFormatter"},
    },
    "handlers": {
        name: handler | {"filters": ["redact"], "formatter": LOG_FORMAT}
        for name, handler in _handlers.items()
    },
    "root": {"handlers": list(_handlers), "level": "WARNING"},
    "loggers": {
        "scores": {"level": LOG_LEVEL},
        "scoreboard_site": {"level": LOG_LEVEL},
        "realtime": {"level": LOG_LEVEL},
        # They try again every second while Redis is away, or gives no right to use channels.
        "realtime.hub.hub": {"filters": ["repetition"]},
        "realtime.hub.broadcaster": {"filters": ["repetition"]},
        # Django configures its loggers before this, each with its own handler.
        "django": {"level": "WARNING", "handlers": [], "propagate": True},
        # It logs every 4xx and 503. The useful ones are in scores.security, with more fields.
        "django.request": {"level": "CRITICAL"},
        # Django reports a client's odd request there as an ERROR; it is answered, and our alarms watch ERROR.
        "django.security": {"level": "CRITICAL"},
        "daphne": {"level": "WARNING"},
        "channels_redis.pubsub": {"filters": ["without_traceback", "repetition"]},
        "axes": {"level": "ERROR"},  # it logs account names, and people type passwords in their place
        "pynamodb": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
    },
}

# Variables that look like ours but that no setting reads, each with the likely name. scores/checks.py warns.
SCOREBOARD_MISSPELT: dict[str, str] = env.misspelt()

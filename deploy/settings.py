"""What the site's owner decides: read from the CDK context, checked before anything is made."""

from __future__ import annotations

import dataclasses
import ipaddress
import re

import aws_cdk as cdk

from sizes import SIZES, Sizes

_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


class SettingsError(ValueError):
    """A value of the context is missing or wrong; the message says which."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """One deployment."""

    #: `dev` or `prod`: the sizes, and the names of everything.
    environment: str
    #: The page's host name, for example board.example.com; a name in the zone.
    domain: str
    #: The Route 53 hosted zone that holds the domain.
    zone_id: str
    zone_name: str
    region: str
    #: Who is told when an alarm fires.
    alarm_email: str
    #: Whether anybody may see the board.
    public: bool
    #: Networks from which the admin is reached besides the VPC itself: the moderators' VPN.
    admin_cidrs: tuple[str, ...]
    #: Networks of the site's own servers, which the firewall's rate rule leaves alone.
    server_cidrs: tuple[str, ...]
    #: An OpenID provider that people may sign in with: issuer and client id; its secret is in Secrets
    #: Manager under `scoreboard/ENV/oidc-secret`. Empty: only accounts of the pool itself.
    oidc_issuer: str
    oidc_client_id: str
    #: Secrets Manager name of the Sentry DSN; empty: no Sentry.
    sentry_secret: str
    #: Prefix of tables that were restored from a backup (`R1-`), to run on in place of the stack's own;
    #: empty: on the own ones (docs/operations.md).
    restored: str
    #: Solution stack of Elastic Beanstalk (`aws elasticbeanstalk list-available-solution-stacks`), to run
    #: the web process there; empty: containers on Fargate.
    beanstalk_platform: str

    @property
    def sizes(self) -> Sizes:
        return SIZES[self.environment]

    @property
    def name(self) -> str:
        """Prefix of what has a name."""
        return f"scoreboard-{self.environment}"

    @property
    def table_prefix(self) -> str:
        """Prefix of the tables in use."""
        return self.restored or f"{self.name}-"

    @property
    def origin(self) -> str:
        return f"https://{self.domain}"


def from_context(app: cdk.App) -> Settings:
    """The settings of a deployment. Raises SettingsError."""

    def text(name: str, default: str | None = None) -> str:
        value = app.node.try_get_context(name)
        if value is None and default is None:
            raise SettingsError(f"say which {name}: -c {name}=… (docs/deploy.md)")
        return str(default if value is None else value).strip()

    settings = Settings(
        environment=text("environment"),
        domain=text("domain"),
        zone_id=text("zone_id"),
        zone_name=text("zone_name"),
        region=text("region"),
        alarm_email=text("alarm_email"),
        public=_yes_or_no("public", text("public", "true")),
        admin_cidrs=_networks("admin_cidrs", text("admin_cidrs", "")),
        server_cidrs=_networks("server_cidrs", text("server_cidrs", "")),
        oidc_issuer=text("oidc_issuer", ""),
        oidc_client_id=text("oidc_client_id", ""),
        sentry_secret=text("sentry_secret", ""),
        restored=text("restored", ""),
        beanstalk_platform=text("beanstalk_platform", ""),
    )
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if settings.environment not in SIZES:
        raise SettingsError(f"environment must be one of {', '.join(SIZES)}")
    if not _DOMAIN.fullmatch(settings.domain):
        raise SettingsError(f"domain {settings.domain!r} is no host name like board.example.com")
    if settings.domain != settings.zone_name and not settings.domain.endswith(f".{settings.zone_name}"):
        raise SettingsError(f"domain {settings.domain!r} is not in the zone {settings.zone_name!r}")
    if settings.beanstalk_platform and settings.domain == settings.zone_name:
        raise SettingsError(
            f"on Elastic Beanstalk domain must be a name in the zone, like board.{settings.zone_name}: "
            "its address is a CNAME, which a zone itself cannot have"
        )
    if not re.fullmatch(r"Z[A-Z0-9]{4,31}", settings.zone_id):
        raise SettingsError(f"zone_id {settings.zone_id!r} is no id of a hosted zone like Z0123456789ABC")
    if not _REGION.fullmatch(settings.region):
        raise SettingsError(f"region {settings.region!r} is no region like eu-central-1")
    if "@" not in settings.alarm_email:
        raise SettingsError(f"alarm_email {settings.alarm_email!r} is no e-mail address")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{0,100}", settings.restored):
        raise SettingsError(f"restored {settings.restored!r} is no prefix of a table's name like R1-")
    if bool(settings.oidc_issuer) != bool(settings.oidc_client_id):
        raise SettingsError("oidc_issuer and oidc_client_id go together")
    if settings.oidc_issuer and not settings.oidc_issuer.startswith("https://"):
        raise SettingsError("oidc_issuer must be an https address")


def _yes_or_no(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise SettingsError(f"{name} must be true or false")
    return value.lower() == "true"


def _networks(name: str, value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.IPv4Network(part.strip())) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None

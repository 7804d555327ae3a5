"""Computes what the scoreboard costs on AWS, and what the serverless ways to build it would cost."""

from __future__ import annotations

from collections.abc import Mapping

from tools.research.costs.prices import PRICES

#: Inputs of the computation: (value, unit, source).
ASSUMPTIONS = {
    "cpu_ms": (3.4, "ms of CPU for each update", "make bench-path"),
    "target": (0.6, "use of a core that autoscaling aims at", "deploy/stacks/web.py"),
    "contenders": (0.05, "share of updates that move a player in the index (two writes)", "assumed"),
    "unknown": (0.1, "share of updates of players that the cache does not know (one read)", "assumed"),
    "ledger_bytes": (400, "bytes of a ledger entry, kept for 30 days", "scores/stores/tables.py"),
    "update_bytes": (2_500, "bytes of an update with a token of 1 KB, and of its answer", "counted"),
    "traced": (0.05, "share of requests that are traced", "scoreboard_site/settings.py"),
    "board_bytes": (
        1_050,
        "bytes of a board in its frame and TLS record: ten Cognito ids, names of ten letters",
        "counted",
    ),
    "alive_bytes": (105, "bytes of a sign of life, every 15 s, likewise", "counted"),
    "line_bytes": (1_200, "bytes of a line of metrics, every 30 s a task", "counted"),
    "deliveries": (
        156_250,
        "boards to sockets for each second of CPU, at 5,000 sockets",
        "make bench-fanout",
    ),
    "sockets": (8_000, "open sockets that a task is meant for", "deploy/sizes.py"),
    "lambda_ms": (40, "ms of a 512 MB function for an update", "assumed"),
    "push_ms": (10, "ms of a function for each message that it posts to a connection", "assumed"),
}
HOURS = 730
SECONDS = HOURS * 3600
#: AWS' gigabyte, in bytes.
GB = 2**30
#: Looks of the probe in a month, in prod.
PROBES = SECONDS / 60
VIEWERS = 1_000
#: Boards a second that viewers see, on average over the month.
RATES = (0.02, 0.2, 2.0)

Costs = Mapping[str, float]


def usd(name: str) -> float:
    return PRICES[name].usd


def a(name: str) -> float:
    return float(ASSUMPTIONS[name][0])


def core_hour() -> float:
    """An hour of a task with one core and 2 GB."""
    return usd("Fargate CPU") + 2 * usd("Fargate memory")


def table_writes() -> dict[str, float]:
    """USD for a million updates in DynamoDB: the same in every variant."""
    units = 2 * 2 + 2 * a("contenders")  # a transaction costs two units an item of up to 1 KB
    gigabytes = a("ledger_bytes") * 1e6 / GB
    return {
        "DynamoDB: transaction, index, read": 1e6
        * (units * usd("DynamoDB write unit") + a("unknown") * usd("DynamoDB read unit")),
        "DynamoDB: a month of ledger, with recovery": gigabytes
        * (usd("DynamoDB storage") + usd("DynamoDB recovery")),
    }


def updates() -> dict[str, float]:
    """USD for a million updates."""
    core_hours = a("cpu_ms") / 1000 * 1e6 / 3600 / a("target")
    capacity = max(1e6 / 25 / 3600, a("update_bytes") * 1e6 / GB)
    return (
        table_writes()
        | {
            "Fargate": core_hours * core_hour(),
            "Load balancer (each a new connection)": capacity * usd("ALB capacity"),
            "CloudFront": cloudfront() + 1e6 * usd("CloudFront functions"),
        }
        | around_updates()
    )


def updates_api_gateway() -> dict[str, float]:
    """The same through an HTTP API behind CloudFront: WAF cannot protect such an API directly."""
    apis = {"API Gateway": 1e6 * usd("HTTP API")}
    return table_writes() | apis | functions() | {"CloudFront": cloudfront()} | around_updates()


def updates_appsync() -> dict[str, float]:
    """The same through AppSync."""
    return table_writes() | {"AppSync": 1e6 * usd("AppSync operations")} | functions() | around_updates()


def cloudfront() -> float:
    """A million updates through the edge."""
    return 1e6 * usd("CloudFront requests") + a("update_bytes") * 1e6 / GB * usd("CloudFront bytes")


def functions() -> dict[str, float]:
    """A million calls of a function."""
    seconds = a("lambda_ms") / 1000 * 1e6
    return {"Lambda": 1e6 * usd("Lambda requests") + seconds * 0.5 * usd("Lambda time")}


def around_updates() -> dict[str, float]:
    """USD for a million updates besides the tables, the same in every variant."""
    return {
        "WAF": 1e6 * usd("WAF requests"),
        "Traces": 1e6 * a("traced") * usd("Traces"),
        "Events to other systems (pipe and bus)": 1e6 * (usd("Pipes") + usd("Events")),
    }


def gigabytes(rate: float) -> float:
    """GB a month that VIEWERS are sent at this rate of boards (1/s)."""
    return VIEWERS * SECONDS * (rate * a("board_bytes") + a("alive_bytes") / 15) / GB


def viewers(rate: float) -> dict[str, float]:
    """USD a month for VIEWERS that are connected all the time."""
    cores = VIEWERS * rate / a("deliveries") / a("target")
    tasks = max(cores, VIEWERS / a("sockets"))
    capacity = max(VIEWERS / 3000, gigabytes(rate) / HOURS)
    return {
        "bytes (CloudFront)": gigabytes(rate) * usd("CloudFront bytes"),
        "Fargate": tasks * core_hour() * HOURS,
        "load balancer": capacity * usd("ALB capacity") * HOURS,
    }


def viewers_api_gateway(rate: float) -> dict[str, float]:
    messages = VIEWERS * rate * SECONDS
    return {
        "bytes": gigabytes(rate) * usd("Regional bytes"),
        "messages": messages * usd("WebSocket messages"),
        "connection-minutes": VIEWERS * HOURS * 60 * usd("WebSocket minutes"),
        "Lambda that posts them": messages * a("push_ms") / 1000 * 0.5 * usd("Lambda time"),
    }


def viewers_appsync(rate: float, delivery: str) -> dict[str, float]:
    return {
        "bytes": gigabytes(rate) * usd("Regional bytes"),
        "deliveries": VIEWERS * rate * SECONDS * usd(delivery),
        "connection-minutes": VIEWERS * HOURS * 60 * usd("AppSync minutes"),
    }


def standing() -> dict[str, tuple[float, float]]:
    """USD a month while nothing happens: (dev, prod), with the sizes of deploy/sizes.py."""
    small = 0.25 * usd("Fargate CPU") + 0.5 * usd("Fargate memory")
    web = 0.5 * usd("Fargate CPU") + usd("Fargate memory")
    hourly = {
        "web tasks (1 of half a core; 2 of one core)": (web, 2 * core_hour()),
        "admin and ranking tasks (a quarter of a core each)": (2 * small, 2 * small),
        "the probe's task (a minute every 15 minutes; all the time)": (small / 15, small),
        "load balancers (web and admin)": (2 * usd("ALB"), 2 * usd("ALB")),
        "Valkey (1 small node; 2 nodes)": (usd("Valkey small"), 2 * usd("Valkey")),
        "PostgreSQL": (usd("PostgreSQL small"), usd("PostgreSQL")),
        "NAT gateways (1; 2)": (usd("NAT gateway"), 2 * usd("NAT gateway")),
        "public addresses, theirs and the web balancer's (3; 4)": (
            3 * usd("Public address"),
            4 * usd("Public address"),
        ),
        "interface endpoints (none; 5 in 2 zones)": (0.0, 10 * usd("Interface endpoint")),
    }
    monthly = {name: (dev * HOURS, prod * HOURS) for name, (dev, prod) in hourly.items()}
    firewall = usd("WAF list") + 4 * usd("WAF rules")
    secrets = 9 * usd("Secrets")
    # An alarm costs by the metrics it reads: 23 of ours read 33, in prod 35, for the cache has two nodes; two
    # targets of autoscaling make four.
    watching, in_prod = (
        21 * usd("Metrics") + (read + 4) * usd("Alarms") + usd("Dashboard") for read in (33, 35)
    )
    # The user guide lists 11 metrics of a cluster, 13 of a service (of three), 8 of a kind of task (of four).
    insights = (11 + 3 * 13 + 4 * 8) * usd("Metrics")
    lines = SECONDS / 30 * a("line_bytes") / GB * usd("Logs")
    probe = PROBES * 40 * usd("DynamoDB read unit")
    rest = {
        "PostgreSQL's 20 GB (in one zone; in two)": (
            20 * usd("PostgreSQL storage"),
            40 * usd("PostgreSQL storage"),
        ),
        "WAF (a list, 4 rules)": (firewall, firewall),
        "secrets (9)": (secrets, secrets),
        "metrics, alarms, dashboard": (watching, in_prod),
        "Container Insights (none; 82 metrics)": (0.0, insights),
        "the lines that metrics come in": (lines, 2 * lines),
        "the probe's reads (every 15 minutes; every minute)": (probe / 15, probe),
    }
    return monthly | rest

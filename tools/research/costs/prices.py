"""List prices that docs/costs.md is computed from: us-east-1, USD, no free tier, no discount, no tax.

Nothing is fetched. Each was seen in public copies of AWS' price list or pricing pages that say when they were
taken. Compare them with the services' pricing pages before relying on a figure, and change them here.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Price:
    """`usd` for one `unit`.

    `as_of` is the newest month in which the price is known to have been in force, `source` what it was then
    copied from.
    """

    usd: float
    unit: str
    as_of: str
    source: str


LIST, PAGE, ARTICLE = "price list", "pricing page", "an article about it"

PRICES = {
    "DynamoDB write unit": Price(0.625e-6, "write request unit, on demand", "2026-09", LIST),
    "DynamoDB read unit": Price(0.125e-6, "read request unit, on demand", "2026-09", LIST),
    "DynamoDB storage": Price(0.25, "GB-month", "2026-10", LIST),
    "DynamoDB recovery": Price(0.20, "GB-month of point-in-time recovery", "2026-10", LIST),
    "Fargate CPU": Price(0.03238, "vCPU-hour, Linux on ARM", "2026-10", LIST),
    "Fargate memory": Price(0.00356, "GB-hour, Linux on ARM", "2026-10", LIST),
    "ALB": Price(0.0225, "hour", "2026-09", LIST),
    "ALB capacity": Price(
        0.008, "LCU-hour (25 new connections/s, 3,000 open, 1 GB/h: the most used counts)", "2026-10", LIST
    ),
    "CloudFront bytes": Price(0.085, "GB to North America and Europe, first 10 TB", "2026-10", LIST),
    "CloudFront requests": Price(1.00e-6, "HTTPS request in the US", "2026-10", LIST),
    "CloudFront functions": Price(0.10e-6, "invocation", "2026-09", PAGE),
    "Regional bytes": Price(0.09, "GB from a region to the internet, first 10 TB", "2026-09", LIST),
    "WAF requests": Price(0.60e-6, "request", "2026-09", PAGE),
    "WAF list": Price(5.00, "list of rules (web ACL) and month", "2026-09", PAGE),
    "WAF rules": Price(1.00, "rule and month", "2026-09", PAGE),
    "Valkey small": Price(0.0128, "hour of cache.t4g.micro", "2026-10", LIST),
    "Valkey": Price(0.1264, "hour of cache.m7g.large", "2026-10", LIST),
    "PostgreSQL small": Price(0.016, "hour of db.t4g.micro, one zone", "2026-10", LIST),
    "PostgreSQL": Price(0.065, "hour of db.t4g.small, two zones", "2026-10", LIST),
    "PostgreSQL storage": Price(0.115, "GB-month of gp3 in each zone", "2026-10", LIST),
    "NAT gateway": Price(0.045, "hour, and GB that passes", "2026-10", LIST),
    "Public address": Price(0.005, "hour of an IPv4 address", "2026-09", LIST),
    "Interface endpoint": Price(0.01, "hour and zone", "2026-09", LIST),
    "Secrets": Price(0.40, "secret and month", "2026-09", LIST),
    "Logs": Price(0.50, "GB taken in", "2026-10", LIST),
    "Metrics": Price(0.30, "metric and month", "2026-09", PAGE),
    "Alarms": Price(0.10, "metric of an alarm and month", "2026-09", PAGE),
    "Dashboard": Price(3.00, "dashboard and month", "2026-06", ARTICLE),
    "Traces": Price(5.00e-6, "trace recorded", "2026-09", PAGE),
    "Machine tokens": Price(2.25e-3, "token for a machine client", "2026-09", PAGE),
    "Events": Price(1.00e-6, "custom event of up to 64 KB", "2026-10", LIST),
    "Pipes": Price(0.40e-6, "request after filtering", "2026-06", ARTICLE),
    "HTTP API": Price(1.00e-6, "request of an API Gateway HTTP API", "2026-10", LIST),
    "WebSocket messages": Price(
        1.00e-6, "message of up to 32 KB of an API Gateway WebSocket API", "2026-09", LIST
    ),
    "WebSocket minutes": Price(0.25e-6, "connection-minute of the same", "2026-09", LIST),
    "Lambda requests": Price(0.20e-6, "invocation", "2026-09", LIST),
    "Lambda time": Price(0.0000133334, "GB-second on ARM", "2026-09", LIST),
    "AppSync operations": Price(4.00e-6, "GraphQL query or mutation", "2026-09", LIST),
    "AppSync updates": Price(2.00e-6, "real-time update of up to 5 KB to a client", "2026-09", LIST),
    "AppSync minutes": Price(0.08e-6, "connection-minute", "2026-09", LIST),
    "AppSync events": Price(
        1.00e-6,
        "operation of AppSync Events: 5 KB published or delivered; also a connect, a subscription, a ping",
        "2026-09",
        LIST,
    ),
}

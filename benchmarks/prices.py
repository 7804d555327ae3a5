"""List prices that docs/costs.md is computed from: us-east-1, USD, no free tier, no discount, no tax.

`as_of` is the newest month in which the price is known to have been in force; nothing is fetched. Compare
them with the services' pricing pages before relying on a figure, and change them here.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Price:
    """`usd` for one `unit`."""

    usd: float
    unit: str
    as_of: str


PRICES = {
    "DynamoDB write unit": Price(0.625e-6, "write request unit, on demand", "2025-07"),
    "DynamoDB read unit": Price(0.125e-6, "read request unit, on demand", "2025-07"),
    "DynamoDB storage": Price(0.25, "GB-month", "2025-01"),
    "DynamoDB recovery": Price(0.20, "GB-month of point-in-time recovery", "2025-01"),
    "Fargate CPU": Price(0.03238, "vCPU-hour, Linux on ARM", "2026-03"),
    "Fargate memory": Price(0.00356, "GB-hour, Linux on ARM", "2026-03"),
    "ALB": Price(0.0225, "hour", "2026-05"),
    "ALB capacity": Price(
        0.008, "LCU-hour (25 new connections/s, 3,000 open, 1 GB/h: the most used counts)", "2026-05"
    ),
    "CloudFront bytes": Price(0.085, "GB to North America and Europe, first 10 TB", "2025-01"),
    "CloudFront requests": Price(1.00e-6, "HTTPS request", "2025-01"),
    "Regional bytes": Price(0.09, "GB from a region to the internet, first 10 TB", "2025-01"),
    "WAF requests": Price(0.60e-6, "request", "2025-01"),
    "WAF rules": Price(1.00, "rule and month; 5.00 the list itself", "2025-01"),
    "Valkey small": Price(0.0128, "hour of cache.t4g.micro", "2025-01"),
    "Valkey": Price(0.1264, "hour of cache.m7g.large", "2025-01"),
    "PostgreSQL small": Price(0.016, "hour of db.t4g.micro, one zone", "2025-01"),
    "PostgreSQL": Price(0.065, "hour of db.t4g.small, two zones", "2025-01"),
    "NAT gateway": Price(0.045, "hour", "2025-01"),
    "Interface endpoint": Price(0.01, "hour and zone", "2025-01"),
    "Logs": Price(0.50, "GB taken in", "2025-01"),
    "Metrics": Price(0.30, "metric and month", "2025-01"),
    "Alarms": Price(0.10, "alarm and month", "2025-01"),
    "Traces": Price(5.00e-6, "trace recorded", "2025-01"),
    "Events": Price(1.00e-6, "custom event", "2025-01"),
    "Pipes": Price(0.40e-6, "request after filtering", "2025-01"),
    "HTTP API": Price(1.00e-6, "request of an API Gateway HTTP API", "2025-01"),
    "WebSocket messages": Price(1.00e-6, "message of up to 32 KB of an API Gateway WebSocket API", "2025-01"),
    "WebSocket minutes": Price(0.25e-6, "connection-minute of the same", "2025-01"),
    "Lambda requests": Price(0.20e-6, "invocation", "2025-01"),
    "Lambda time": Price(0.0000133334, "GB-second on ARM", "2025-01"),
    "AppSync operations": Price(4.00e-6, "GraphQL query or mutation", "2025-01"),
    "AppSync updates": Price(2.00e-6, "real-time update of up to 5 KB to a client", "2025-01"),
    "AppSync minutes": Price(0.08e-6, "connection-minute", "2025-01"),
    "AppSync events": Price(
        1.00e-6, "operation of AppSync Events: a publish, or a delivery of up to 5 KB", "2025-01"
    ),
}

"""What differs between environments: their sizes and how carefully they are kept. Nothing else does."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Sizes:
    """One environment. CPU in units of 1/1024 vCPU, memory in MiB, times in days if nothing else is said."""

    #: Tasks of the web service: at least, and at most.
    web_tasks: tuple[int, int]
    web_cpu: int
    web_memory: int
    #: Open sockets per task that autoscaling aims at (average over the tasks).
    sockets_per_task: int
    nat_gateways: int
    #: Private addresses of AWS services in the VPC (about 8 USD a month each and zone), besides the free
    #: ones of DynamoDB and S3. Without them the calls leave through the NAT gateway.
    interface_endpoints: bool
    valkey_node: str
    #: Copies of the ranking cache in other zones; with at least one, a failure is repaired by failover.
    valkey_replicas: int
    database_class: str
    database_multi_az: bool
    backup_days: int
    log_days: int
    #: Data stores refuse to be deleted, and outlive their stack.
    protected: bool
    #: Minutes between two runs of the board-truth probe.
    probe_minutes: int
    #: Requests to `/score/` that one address may send in five minutes before the firewall blocks it.
    requests_per_5_minutes: int
    container_insights: bool


DEV = Sizes(
    web_tasks=(1, 2),
    web_cpu=512,
    web_memory=1024,
    sockets_per_task=3_000,
    nat_gateways=1,
    interface_endpoints=False,
    valkey_node="cache.t4g.micro",
    valkey_replicas=0,
    database_class="t4g.micro",
    database_multi_az=False,
    backup_days=1,
    log_days=7,
    protected=False,
    probe_minutes=15,
    requests_per_5_minutes=3_000,
    container_insights=False,
)

PROD = Sizes(
    web_tasks=(2, 20),
    web_cpu=1024,
    web_memory=2048,
    sockets_per_task=8_000,
    nat_gateways=2,
    interface_endpoints=True,
    valkey_node="cache.m7g.large",
    valkey_replicas=1,
    database_class="t4g.small",
    database_multi_az=True,
    backup_days=35,
    log_days=90,
    protected=True,
    probe_minutes=1,
    requests_per_5_minutes=3_000,
    container_insights=True,
)

SIZES = {"dev": DEV, "prod": PROD}

"""The dashboard, and the names of the metrics on it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from settings import Settings
from stacks.data import DataStack

#: Refusals in the security log that somebody should look at when they pile up: name of the alarm, metric,
#: what the line says, how many in five minutes are still usual. A status stands for all codes that have it.
#: The log writes at most 20 of a kind in a second.
SUSPICIOUS: tuple[tuple[str, str, tuple[str, str | int], int], ...] = (
    ("refused-unauthorized", "RefusedTokens", ("event", "unauthorized"), 300),
    ("refused-forbidden", "RefusedForbidden", ("status", 403), 50),
    ("refused-key-reused", "RefusedReusedKeys", ("event", "key_reused"), 50),
    ("refused-rate-limited", "RefusedOverLimit", ("status", 429), 600),
    ("admin-sign-in", "AdminSignInsFailed", ("event", "admin_sign_in"), 20),
)


def namespace(settings: Settings) -> str:
    """The CloudWatch namespace of the application's metrics."""
    return f"Scoreboard/{settings.environment}"


def metric(settings: Settings, name: str, statistic: str, *, minutes: int = 1) -> cloudwatch.Metric:
    """One of the application's metrics, over all its processes."""
    return cloudwatch.Metric(
        namespace=namespace(settings),
        metric_name=name,
        statistic=statistic,
        period=cdk.Duration.minutes(minutes),
    )


def draw(
    scope: Construct,
    settings: Settings,
    *,
    alarms: Sequence[cloudwatch.IAlarm],
    cpu: cloudwatch.Metric,
    balancer: elb.ApplicationLoadBalancer,
    data: DataStack,
) -> None:
    """Alarms first, then the board, the updates, who is refused, and what carries it all."""

    def of(name: str, statistic: str, minutes: int = 1) -> cloudwatch.Metric:
        return metric(settings, name, statistic, minutes=minutes)

    dashboard = cloudwatch.Dashboard(
        scope, "Dashboard", dashboard_name=settings.name, default_interval=cdk.Duration.hours(3)
    )
    dashboard.add_widgets(
        cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=24, height=4)
    )
    dashboard.add_widgets(
        _graph(
            "Does the board show the truth? (age of a difference, s)", of("BoardDifferenceAge", "Maximum")
        ),
        _graph(
            "Board changes, repairs",
            of("BoardChanges", "Sum"),
            of("RankingRepairs", "Sum"),
            of("MergesLeft", "Sum"),
        ),
        _graph("To the last socket of a process (ms)", of("FanOutTime", "p50"), of("FanOutTime", "p99")),
    )
    dashboard.add_widgets(
        _graph(
            "Updates",
            of("UpdatesAccepted", "Sum"),
            of("UpdatesReplayed", "Sum"),
            of("UpdatesRefused", "Sum"),
        ),
        _graph("An update (ms)", of("UpdateTime", "p50"), of("UpdateTime", "p99")),
        _graph(
            "Open sockets per process, and those behind",
            of("OpenSockets", "Average"),
            of("OpenSockets", "Maximum"),
            of("BehindSockets", "Maximum"),
        ),
    )
    searched = f"{{{namespace(settings)},Code}}"
    by_code = cloudwatch.MathExpression(
        expression=f"SEARCH('{searched} MetricName=\"UpdatesRefused\"', 'Sum', 60)",
        using_metrics={},
        label="",
    )
    dashboard.add_widgets(
        _graph("Refused updates by code", by_code),
        _graph("Suspicious requests", *(of(name, "Sum", 5) for _, name, _, _ in SUSPICIOUS)),
        _graph(
            "Conflicts, cache",
            of("LedgerConflicts", "Sum"),
            of("CacheDown", "Maximum"),
            of("ProbeFailures", "Sum"),
        ),
    )
    requests = balancer.metrics.request_count(period=cdk.Duration.minutes(1))
    sockets = balancer.metrics.active_connection_count(period=cdk.Duration.minutes(1))
    dashboard.add_widgets(
        _graph("CPU of the web tasks (%)", cpu),
        _graph("Load balancer", requests, sockets),
        _graph(
            "Write units",
            *(_written(table.table_name) for table in (data.scores, data.ledger)),
        ),
    )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)


def _written(table: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB",
        metric_name="ConsumedWriteCapacityUnits",
        statistic="Sum",
        dimensions_map={"TableName": table},
        period=cdk.Duration.minutes(1),
    )

"""Alarms, each with the place in docs/operations.md that says what to do, and the dashboard.

The metrics are those of scoreboard_site/metrics.py; a test compares the names.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from settings import Settings
from stacks.data import DataStack

RUNBOOK = "docs/operations.md"
#: Refusals in the security log, by the code of the answer; each gets a metric, all together an alarm.
SUSPICIOUS = {
    "unauthorized": "RefusedTokens",
    "forbidden": "RefusedOtherPlayers",
    "key_reused": "RefusedReusedKeys",
    "rate_limited": "RefusedOverLimit",
    "too_many_sockets": "RefusedSockets",
}
#: Refused updates that are our fault, not the client's.
OUR_FAULT = ("unavailable", "throttled", "outcome_unknown", "conflict", "overloaded")
Missing = cloudwatch.TreatMissingData
Comparison = cloudwatch.ComparisonOperator


def namespace(settings: Settings) -> str:
    """The CloudWatch namespace of the application's metrics."""
    return f"Scoreboard/{settings.environment}"


def metric(settings: Settings, name: str, statistic: str, *, minutes: int = 1) -> cloudwatch.Metric:
    """One of the application's metrics, over all its processes."""
    return cloudwatch.Metric(
        namespace=namespace(settings), metric_name=name, statistic=statistic, period=cdk.Duration.minutes(minutes)
    )


class Watch(Construct):
    def __init__(
        self,
        scope: Construct,
        identifier: str,
        settings: Settings,
        log: logs.LogGroup,
        *,
        balancer: elb.ApplicationLoadBalancer,
        web: elb.ApplicationTargetGroup,
        data: DataStack,
    ) -> None:
        super().__init__(scope, identifier)
        self._settings, self._data, self._web, self._balancer = settings, data, web, balancer
        self._alarms: list[cloudwatch.Alarm] = []
        self._topic = sns.Topic(self, "Topic", topic_name=f"{settings.name}-alarms", enforce_ssl=True)
        self._topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
        # A policy of its own takes the place of the one that lets the account's services publish.
        self._topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self._topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )
        self._watch_the_board()
        self._watch_updates()
        self._watch_logs(log)
        self._watch_stores()
        #: An alarm that ends a deployment and brings the old version back.
        self.unhealthy = self._watch_the_door()

    def add_service(self, service: ecs.FargateService) -> None:
        """Draw everything, the service's CPU included."""
        self._draw(service.metric_cpu_utilization(period=cdk.Duration.minutes(5), statistic="Average"))

    # --- Alarms: names, limits and what to do are in docs/operations.md -----------------------------------

    def _alarm(
        self, name: str, of: cloudwatch.IMetric, text: str, limit: float, *,
        times: int = 1, out_of: int | None = None, missing: Missing = Missing.NOT_BREACHING,
        comparison: Comparison = Comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    ) -> str:
        """An alarm when `of` has reached `limit` in `times` periods `out_of` the last ones; its name."""
        alarm_name = f"{self._settings.name}-{name}"
        alarm = cloudwatch.Alarm(
            self, name, alarm_name=alarm_name, alarm_description=f"{text}. What to do: {RUNBOOK}#{name}",
            metric=of, threshold=limit, comparison_operator=comparison, treat_missing_data=missing,
            datapoints_to_alarm=times, evaluation_periods=out_of or times,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        alarm.add_ok_action(actions.SnsAction(self._topic))
        self._alarms.append(alarm)
        return alarm_name

    def _metric(self, name: str, statistic: str, minutes: int = 1) -> cloudwatch.Metric:
        return metric(self._settings, name, statistic, minutes=minutes)

    def _ratio(self, expression: str, minutes: int, **named: cloudwatch.Metric) -> cloudwatch.MathExpression:
        period = cdk.Duration.minutes(minutes)
        return cloudwatch.MathExpression(expression=expression, using_metrics=named, period=period)

    def _watch_the_board(self) -> None:
        """First of all: does a viewer see what the table says?"""
        every = self._settings.sizes.probe_minutes
        age, failures = self._metric("BoardDifferenceAge", "Maximum", every), self._metric("ProbeFailures", "Sum", every)
        self._alarm(
            "board-differs", age, "What viewers see is not what the table says, or nobody looks", 5,
            times=3, missing=Missing.BREACHING,
        )
        self._alarm("probe-blind", failures, "The probe sees no board or no table", 1, times=3)
        self._alarm("ranking-repairs", self._metric("RankingRepairs", "Sum", 15), "Merges into the ranking get lost", 50)
        self._alarm("cache-down", self._metric("CacheDown", "Maximum"), "Processes do without the ranking cache", 1, times=3)
        slow = "A new board takes more than a second to the last socket of a process"
        self._alarm("fan-out-slow", self._metric("FanOutTime", "p99"), slow, 1000, times=3, out_of=5)
        behind = self._ratio(
            "100 * behind / open", 1,
            behind=self._metric("BehindSockets", "Average"), open=self._metric("OpenSockets", "Average"),
        )
        self._alarm("viewers-behind", behind, "More than 5 % of the viewers do not take what they are sent", 5, times=5)
        silent = "No process writes metrics"
        self._alarm(
            "no-metrics", self._metric("UpdatesAccepted", "SampleCount"), silent, 1, times=5,
            comparison=Comparison.LESS_THAN_THRESHOLD, missing=Missing.BREACHING,
        )

    def _watch_updates(self) -> None:
        accepted = self._metric("UpdatesAccepted", "Sum", 5)
        failed = {
            f"f{place}": cloudwatch.Metric(
                namespace=namespace(self._settings), metric_name="UpdatesRefused", statistic="Sum",
                dimensions_map={"Code": code}, period=cdk.Duration.minutes(5),
            )
            for place, code in enumerate(OUR_FAULT)
        }
        failures = " + ".join(f"FILL({name}, 0)" for name in failed)
        share = self._ratio(
            f"IF({failures} >= 10, 100 * ({failures}) / ({failures} + FILL(accepted, 0)), 0)", 5, accepted=accepted, **failed
        )
        self._alarm("updates-failing", share, "More than 1 % of the updates fail, and not by the client's fault", 1)
        slow = self._metric("UpdateTime", "p99")
        self._alarm("updates-slow", slow, "Updates take more than a second", 1000, times=3, out_of=5)
        conflicts = self._ratio(
            "IF(conflicts >= 100, 100 * conflicts / (accepted + 1), 0)", 15,
            conflicts=self._metric("LedgerConflicts", "Sum", 15), accepted=self._metric("UpdatesAccepted", "Sum", 15),
        )
        self._alarm("ledger-conflicts", conflicts, "Writers of one player get in each other's way", 20)

    def _watch_logs(self, log: logs.LogGroup) -> None:
        """Metrics from the log: refusals that may be an attack, and errors nobody expected."""
        of_security = logs.FilterPattern.string_value("$.logger", "=", "scores.security")
        counted = {
            name: self._count(log, name, logs.FilterPattern.all(
                of_security, logs.FilterPattern.string_value("$.event", "=", code)
            ))
            for code, name in SUSPICIOUS.items()
        }
        together = self._ratio(
            " + ".join(f"FILL({name.lower()}, 0)" for name in counted), 5,
            **{name.lower(): each for name, each in counted.items()},
        )
        self._alarm("suspicious-requests", together, "Many requests are refused that should not have been sent", 300)
        errors = self._count(log, "UnexpectedErrors", logs.FilterPattern.any(
            *(logs.FilterPattern.string_value("$.level", "=", level) for level in ("ERROR", "CRITICAL"))
        ))
        self._alarm("unexpected-errors", errors, "A process wrote an error to its log", 1)

    def _count(self, log: logs.LogGroup, name: str, pattern: logs.IFilterPattern) -> cloudwatch.Metric:
        found = logs.MetricFilter(
            self, name, log_group=log, metric_namespace=namespace(self._settings), metric_name=name,
            metric_value="1", default_value=0, filter_pattern=pattern,
        )
        return found.metric(statistic="Sum", period=cdk.Duration.minutes(5))

    def _watch_stores(self) -> None:
        throttled = {
            f"{name.lower()}{place}": cloudwatch.Metric(
                namespace="AWS/DynamoDB", metric_name=f"{name}ThrottleEvents", statistic="Sum",
                dimensions_map={"TableName": table.table_name}, period=cdk.Duration.minutes(5),
            )
            for place, table in enumerate((self._data.scores, self._data.ledger))
            for name in ("Read", "Write")
        }
        total = self._ratio(" + ".join(f"FILL({name}, 0)" for name in throttled), 5, **throttled)
        self._alarm("table-throttled", total, "DynamoDB throttles", 10)
        full = cloudwatch.Metric(
            namespace="AWS/ElastiCache", metric_name="DatabaseMemoryUsagePercentage", statistic="Maximum",
            dimensions_map={"ReplicationGroupId": self._data.valkey.ref}, period=cdk.Duration.minutes(5),
        )
        self._alarm("cache-full", full, "The memory of the ranking cache is nearly full", 80, times=3)
        undelivered = self._data.events.undelivered.metric_approximate_number_of_messages_visible(
            period=cdk.Duration.minutes(5), statistic="Maximum"
        )
        self._alarm("events-undelivered", undelivered, "ScoreChanged events could not be delivered", 1)

    def _watch_the_door(self) -> str:
        refused = self._balancer.metrics.http_code_elb(
            elb.HttpCodeElb.ELB_5XX_COUNT, period=cdk.Duration.minutes(5), statistic="Sum"
        )
        self._alarm("errors-at-the-door", refused, "The load balancer answers with errors of its own", 10)
        unhealthy = self._web.metrics.unhealthy_host_count(period=cdk.Duration.minutes(1), statistic="Maximum")
        return self._alarm("processes-unhealthy", unhealthy, "A web process says that it is not ready", 1, times=5)

    # --- Dashboard ----------------------------------------------------------------------------------

    def _draw(self, cpu: cloudwatch.Metric) -> None:
        of = self._metric
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=self._settings.name, default_interval=cdk.Duration.hours(3)
        )
        dashboard.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=self._alarms, width=24, height=4))
        dashboard.add_widgets(
            _graph("Does the board show the truth? (age of a difference, s)", of("BoardDifferenceAge", "Maximum")),
            _graph("Board changes, repairs", of("BoardChanges", "Sum"), of("RankingRepairs", "Sum"), of("MergesLeft", "Sum")),
            _graph("To the last socket of a process (ms)", of("FanOutTime", "p50"), of("FanOutTime", "p99")),
        )
        dashboard.add_widgets(
            _graph("Updates", of("UpdatesAccepted", "Sum"), of("UpdatesReplayed", "Sum"), of("UpdatesRefused", "Sum")),
            _graph("An update (ms)", of("UpdateTime", "p50"), of("UpdateTime", "p99")),
            _graph("Open sockets per process, and those behind", of("OpenSockets", "Average"), of("OpenSockets", "Maximum"), of("BehindSockets", "Maximum")),
        )
        by_code = cloudwatch.MathExpression(
            expression=f"SEARCH('{{{namespace(self._settings)},Code}} MetricName=\"UpdatesRefused\"', 'Sum', 60)",
            using_metrics={}, label="",
        )
        dashboard.add_widgets(
            _graph("Refused updates by code", by_code),
            _graph("Suspicious requests", *(of(name, "Sum", 5) for name in SUSPICIOUS.values())),
            _graph("Conflicts, cache", of("LedgerConflicts", "Sum"), of("CacheDown", "Maximum"), of("ProbeFailures", "Sum")),
        )
        requests = self._balancer.metrics.request_count(period=cdk.Duration.minutes(1))
        sockets = self._balancer.metrics.active_connection_count(period=cdk.Duration.minutes(1))
        dashboard.add_widgets(
            _graph("CPU of the web tasks (%)", cpu),
            _graph("Load balancer", requests, sockets),
            _graph("Write units", *(_written(table.table_name) for table in (self._data.scores, self._data.ledger))),
        )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)


def _written(table: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB", metric_name="ConsumedWriteCapacityUnits", statistic="Sum",
        dimensions_map={"TableName": table}, period=cdk.Duration.minutes(1),
    )

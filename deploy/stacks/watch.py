"""Alarms, each with the place in docs/operations.md that says what to do, and the dashboard.

The metrics are those of scores/telemetry/metrics.py; a test compares the names.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from settings import Settings
from stacks.dashboard import SUSPICIOUS, draw, metric, namespace
from stacks.data import INDEXES, DataStack

RUNBOOK = "docs/operations.md"
#: Refused updates that are our fault, not the client's.
OUR_FAULT = ("unavailable", "throttled", "outcome_unknown", "conflict", "overloaded")
Missing = cloudwatch.TreatMissingData


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
        self.errors_alarm = self._watch_the_door()

    def add_service(self, service: ecs.FargateService) -> None:
        """Watch the service's CPU, and draw everything."""
        cpu = service.metric_cpu_utilization(period=cdk.Duration.minutes(5), statistic="Average")
        self._alarm("busy", cpu, "The web tasks are busy although they scale", 85, times=3)
        draw(self, self._settings, alarms=self._alarms, cpu=cpu, balancer=self._balancer, data=self._data)

    # --- Alarms: names, limits and what to do are in docs/operations.md -----------------------------------

    def _alarm(
        self,
        name: str,
        of: cloudwatch.IMetric,
        text: str,
        limit: float,
        *,
        times: int = 1,
        missing: Missing = Missing.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """An alarm when `of` is above `limit` in `times` periods in a row."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._settings.name}-{name}",
            alarm_description=f"{text}. What to do: {RUNBOOK}#{name}",
            metric=of,
            threshold=limit,
            treat_missing_data=missing,
            evaluation_periods=times,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        alarm.add_ok_action(actions.SnsAction(self._topic))
        self._alarms.append(alarm)
        return alarm

    def _metric(self, name: str, statistic: str, minutes: int = 1) -> cloudwatch.Metric:
        return metric(self._settings, name, statistic, minutes=minutes)

    def _expression(
        self, expression: str, minutes: int, **named: cloudwatch.Metric
    ) -> cloudwatch.MathExpression:
        period = cdk.Duration.minutes(minutes)
        return cloudwatch.MathExpression(expression=expression, using_metrics=named, period=period)

    def _watch_the_board(self) -> None:
        """First of all: does a viewer see what the table says?"""
        every = self._settings.sizes.probe_minutes
        age = self._metric("BoardDifferenceAge", "Maximum", every)
        self._alarm("board-truth", age, "What viewers see is not what the table says", 4, times=2)
        self._alarm(
            "probe-failures",
            self._metric("ProbeFailures", "Sum", every),
            "The probe sees no board or no table, or does not run",
            0,
            times=3,
            missing=Missing.BREACHING,
        )
        repairs, down = self._metric("RankingRepairs", "Sum", 5), self._metric("CacheDown", "Maximum")
        self._alarm("ranking-repairs", repairs, "Merges into the ranking get lost", 50, times=2)
        self._alarm("cache-down", down, "Processes do without the ranking cache", 0, times=5)
        slow = "A new board takes more than a second to the last socket of a process"
        self._alarm("fan-out", self._metric("FanOutTime", "p99"), slow, 1000, times=5)
        behind = self._expression(
            "100 * behind / open",
            1,
            behind=self._metric("BehindSockets", "Average"),
            open=self._metric("OpenSockets", "Average"),
        )
        self._alarm(
            "viewers-behind",
            behind,
            "More than 5 % of the viewers do not take what they are sent",
            5,
            times=5,
        )
        # An expression, because the alarm is about what is not there.
        lines = self._expression("1 - lines", 5, lines=self._metric("UpdatesAccepted", "SampleCount", 5))
        self._alarm("no-metrics", lines, "No web task writes metrics", 0, missing=Missing.BREACHING)

    def _watch_updates(self) -> None:
        accepted = self._metric("UpdatesAccepted", "Sum", 5)
        failed = {
            f"f{place}": cloudwatch.Metric(
                namespace=namespace(self._settings),
                metric_name="UpdatesRefused",
                statistic="Sum",
                dimensions_map={"Code": code},
                period=cdk.Duration.minutes(5),
            )
            for place, code in enumerate(OUR_FAULT)
        }
        failures = " + ".join(f"FILL({name}, 0)" for name in failed)
        share = self._expression(
            f"IF({failures} >= 10, 100 * ({failures}) / (FILL(accepted, 0) + 1), 0)",
            5,
            accepted=accepted,
            **failed,
        )
        self._alarm(
            "updates-failing", share, "More than 1 % of the updates fail, and not by the client's fault", 1
        )
        self._alarm(
            "slow-updates",
            self._metric("UpdateTime", "p99"),
            "Updates take more than a second",
            1000,
            times=5,
        )
        conflicts = self._expression(
            "IF(conflicts >= 100, 100 * conflicts / (accepted + 1), 0)",
            15,
            conflicts=self._metric("LedgerConflicts", "Sum", 15),
            accepted=self._metric("UpdatesAccepted", "Sum", 15),
        )
        self._alarm("ledger-conflicts", conflicts, "Writers of one player get in each other's way", 20)

    def _watch_logs(self, log: logs.LogGroup) -> None:
        """Metrics from the log: refusals that may be an attack, and errors that nobody expected."""
        of_security = logs.FilterPattern.string_value("$.logger", "=", "scores.security")
        for alarm, name, (field, value), usual in SUSPICIOUS:
            of_kind = (
                logs.FilterPattern.number_value(f"$.{field}", "=", value)
                if isinstance(value, int)
                else logs.FilterPattern.string_value(f"$.{field}", "=", value)
            )
            refused = self._count(log, name, logs.FilterPattern.all(of_security, of_kind))
            self._alarm(alarm, refused, f"Many lines of the security log with `{field}` {value}", usual)
        levels = (logs.FilterPattern.string_value("$.level", "=", level) for level in ("ERROR", "CRITICAL"))
        errors = self._count(log, "UnexpectedErrors", logs.FilterPattern.any(*levels))
        self._alarm("unexpected-errors", errors, "A process wrote an error to its log", 0)

    def _count(self, log: logs.LogGroup, name: str, pattern: logs.IFilterPattern) -> cloudwatch.Metric:
        found = logs.MetricFilter(
            self,
            name,
            log_group=log,
            metric_namespace=namespace(self._settings),
            metric_name=name,
            metric_value="1",
            default_value=0,
            filter_pattern=pattern,
        )
        return found.metric(statistic="Sum", period=cdk.Duration.minutes(5))

    def _watch_stores(self) -> None:
        sizes = self._settings.sizes
        # A write that an index has no capacity for is refused as well, and counted for the index.
        for place, table, indexes in (
            ("scores", self._data.scores, INDEXES),
            ("ledger", self._data.ledger, ()),
        ):
            throttled = {"t": self._throttled(table)} | {
                f"i{number}": self._throttled(table, index) for number, index in enumerate(indexes)
            }
            every = " + ".join(f"FILL({name}, 0)" for name in throttled)
            self._alarm(
                f"throttled-{place}",
                self._expression(every, 1, **throttled),
                f"DynamoDB throttles writes of the table of {place}",
                0,
                times=3,
            )
        # Each node has metrics of its own, the group has none. Of one shard these are the names of the nodes.
        nodes = [f"{self._data.valkey.ref}-{number:03}" for number in range(1, sizes.valkey_replicas + 2)]
        memory, evictions = (
            {
                f"{name[0].lower()}{place}": cloudwatch.Metric(
                    namespace="AWS/ElastiCache",
                    metric_name=name,
                    statistic=statistic,
                    dimensions_map={"CacheClusterId": node},
                    period=cdk.Duration.minutes(5),
                )
                for place, node in enumerate(nodes)
            }
            for name, statistic in (("DatabaseMemoryUsagePercentage", "Maximum"), ("Evictions", "Sum"))
        )
        fullest = f"IF(MAX([{', '.join(evictions)}]) > 0, 100, MAX([{', '.join(memory)}]))"
        full = self._expression(fullest, 5, **memory, **evictions)
        self._alarm("cache-full", full, "The memory of the ranking cache is nearly full", 80, times=3)
        undelivered = self._data.events.undelivered.metric_approximate_number_of_messages_visible(
            period=cdk.Duration.minutes(5), statistic="Maximum"
        )
        self._alarm("undelivered-events", undelivered, "ScoreChanged events could not be delivered", 0)

    def _throttled(self, table: dynamodb.ITable, index: str | None = None) -> cloudwatch.Metric:
        names = {"TableName": table.table_name} | ({"GlobalSecondaryIndexName": index} if index else {})
        return cloudwatch.Metric(
            namespace="AWS/DynamoDB",
            metric_name="WriteThrottleEvents",
            statistic="Sum",
            dimensions_map=names,
            period=cdk.Duration.minutes(1),
        )

    def _watch_the_door(self) -> cloudwatch.Alarm:
        errors = self._web.metrics.http_code_target(
            elb.HttpCodeTarget.TARGET_5XX_COUNT, period=cdk.Duration.minutes(1), statistic="Sum"
        )
        unready = self._web.metrics.unhealthy_host_count(period=cdk.Duration.minutes(1), statistic="Maximum")
        self._alarm("not-ready", unready, "A web process says that it is not ready", 0, times=5)
        return self._alarm("server-errors", errors, "The application answers with server errors", 20, times=3)

"""Alarms and dashboard speak of metrics that exist, and every alarm says what to do."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.test import APIRequestFactory

from deploy.tests.assembly import Assembly
from scoreboard_site import admin_middleware
from scores.api import problems
from scores.rules import errors
from scores.telemetry import metrics, security_events
from scores.telemetry.logs import JSONFormatter, Redact
from tools.testing.processes import ROOT

#: Metric, and the codes of the answers, or the events, that it counts.
SECURITY = {
    "RefusedTokens": {"unauthorized"},
    "RefusedForbidden": {
        "forbidden",
        "banned",
        "ticket_required",
        "ticket_invalid",
        "ticket_expired",
        "origin",
    },
    "RefusedReusedKeys": {"key_reused"},
    "RefusedOverLimit": {"rate_limited", "too_many_sockets", "admin_locked_out"},
    "AdminSignInsFailed": {"admin_sign_in"},
}
ERRORS = (
    errors.Forbidden(),
    errors.Banned(),
    errors.TicketRequired(),
    errors.TicketInvalid(),
    errors.TicketExpired(),
    errors.KeyReused(),
    errors.RateLimited(1),
    AuthenticationFailed(),
)


def named_in(alarm: dict[str, Any]) -> set[str]:
    """The metrics of the application that an alarm looks at."""
    stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return {
        each["MetricName"] for each in [alarm, *stats] if each.get("Namespace", "").startswith("Scoreboard/")
    }


def headings() -> set[str]:
    text = (ROOT / "docs" / "operations.md").read_text()
    return {line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")}


def test_every_alarm_names_a_place_in_the_operations_page_and_tells_somebody(assemblies):
    for assembly in assemblies.values():
        alarms = [
            each
            for each in assembly.all("AWS::CloudWatch::Alarm")
            if "What to do: " in each.get("AlarmDescription", "")
        ]
        assert len(alarms) >= 20
        for alarm in alarms:
            found = re.search(r"What to do: docs/operations\.md#([a-z-]+)$", alarm["AlarmDescription"])
            assert found and found[1] in headings(), alarm["AlarmDescription"]
            assert alarm["AlarmActions"] and alarm["OKActions"]
        assert "board-truth" in alarms[0]["AlarmName"] or any(
            "board-truth" in each["AlarmName"] for each in alarms
        )
        subscription = assembly.one("AWS::SNS::Subscription")
        assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "operations@example.com")


def test_every_metric_of_alarms_and_dashboard_is_in_the_applications_catalogue(prod):
    catalogue = {metric.name for metric in metrics.CATALOGUE}
    filters = {each["MetricTransformations"][0]["MetricName"] for each in prod.all("AWS::Logs::MetricFilter")}
    alarmed = {name for alarm in prod.all("AWS::CloudWatch::Alarm") for name in named_in(alarm)}
    dashboard = json.loads(prod.one("AWS::CloudWatch::Dashboard")["DashboardBody"])
    drawn = {
        line[1]
        for widget in dashboard["widgets"]
        for line in widget["properties"].get("metrics", [])
        if isinstance(line[0], str) and line[0].startswith("Scoreboard/")
    }
    assert alarmed | drawn <= catalogue | filters
    assert catalogue - drawn == set(), "the dashboard leaves out a metric"
    namespace = prod.environment("web")["SCOREBOARD_METRICS_NAMESPACE"]
    assert {
        each["MetricTransformations"][0]["MetricNamespace"] for each in prod.all("AWS::Logs::MetricFilter")
    } == {namespace}


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """CloudWatch's matching, as far as the filters use it: every term of `pattern` is true of the line."""
    terms = re.findall(r'\$\.(\w+) = (?:"([^"]+)"|(\d+))', pattern)
    assert terms and "||" not in pattern
    return all(line.get(name) == (text or int(number)) for name, text, number in terms)


@pytest.fixture
def security_lines() -> Iterator[list[dict[str, Any]]]:
    """Lines of the security log from here on, as they are written."""
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.setFormatter(JSONFormatter())
    handler.addFilter(Redact())
    handler.emit = lambda record: lines.append(json.loads(handler.format(record)))  # type: ignore[method-assign]
    security_events.logger.addHandler(handler)
    yield lines
    security_events.logger.removeHandler(handler)


def test_every_refusal_in_the_security_log_is_counted_by_one_metric(prod: Assembly, security_lines):
    for error in ERRORS:
        request = APIRequestFactory().post("/score/update")
        problems.exception_handler(error, {"request": request})
    admin_middleware._sign_in_failed()
    admin_middleware._locked_out()
    files = [file for file in (ROOT / "realtime").rglob("*.py") if "tests" not in file.parts]
    sockets = "".join(file.read_text() for file in files)
    for kind, status in re.findall(r'security_events\.refused\("(\w+)", status=(\d+)', sockets):
        security_events.refused(kind, status=int(status))
    patterns = {
        each["MetricTransformations"][0]["MetricName"]: each["FilterPattern"]
        for each in prod.all("AWS::Logs::MetricFilter")
        if "scores.security" in each["FilterPattern"]
    }
    counted = {
        name: {line["event"] for line in security_lines if matches(pattern, line)}
        for name, pattern in patterns.items()
    }
    assert counted == SECURITY
    events = [event for found in counted.values() for event in found]
    assert sorted(events) == sorted({line["event"] for line in security_lines}), "each once, and all"


def test_throttled_writes_are_those_of_the_table_and_of_each_of_its_indexes(assemblies):
    for assembly in assemblies.values():
        for table in assembly.all("AWS::DynamoDB::Table"):
            name = f"throttled-{'scores' if 'UserScores' in table['TableName'] else 'ledger'}"
            alarm = next(
                each for each in assembly.all("AWS::CloudWatch::Alarm") if each["AlarmName"].endswith(name)
            )
            (total,) = [each for each in alarm["Metrics"] if "Expression" in each]
            read = {
                each["Id"]: each["MetricStat"]["Metric"] for each in alarm["Metrics"] if each is not total
            }
            assert total["Expression"] == " + ".join(f"FILL({name}, 0)" for name in read)
            wanted = {(("TableName", table["TableName"]),)} | {
                (("GlobalSecondaryIndexName", index["IndexName"]), ("TableName", table["TableName"]))
                for index in table.get("GlobalSecondaryIndexes", [])
            }
            found = {
                tuple(sorted((each["Name"], each["Value"]) for each in metric["Dimensions"]))
                for metric in read.values()
                if metric["MetricName"] == "WriteThrottleEvents"
            }
            assert found == wanted


def test_memory_and_evictions_are_those_of_each_node_of_the_cache(prod, dev):
    for assembly, nodes in ((prod, ("001", "002")), (dev, ("001",))):
        ((_, group, cache),) = assembly.resources("AWS::ElastiCache::ReplicationGroup")
        assert len(nodes) == 1 + cache["Properties"]["ReplicasPerNodeGroup"]
        alarm = next(
            each
            for each in assembly.all("AWS::CloudWatch::Alarm")
            if each["AlarmName"].endswith("cache-full")
        )
        read = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
        assert [(each["MetricName"], each["Dimensions"]) for each in read] == [
            (name, [{"Name": "CacheClusterId", "Value": f"{group}-{node}"}])
            for name in ("DatabaseMemoryUsagePercentage", "Evictions")
            for node in nodes
        ]


def test_the_probe_is_run_again_and_again_and_never_twice_for_one_time(prod, dev):
    for assembly, minutes in ((prod, "1 minute"), (dev, "15 minutes")):
        schedule = assembly.one("AWS::Scheduler::Schedule")
        assert schedule["ScheduleExpression"] == f"rate({minutes})"
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
        command = assembly.container("probe")["Command"]
        assert command[2:] == ["probe_board", "--once", "--url", "wss://board.example.com/ws/scoreboard"]


def test_traces_go_to_a_collector_in_the_same_task(prod):
    for name in ("web", "admin"):
        containers = {each["Name"]: each for each in prod.task(name)["ContainerDefinitions"]}
        collector = containers["collector"]
        assert collector["Essential"] is False
        started_after = containers["app"]["DependsOn"]
        assert started_after == [{"Condition": "START", "ContainerName": "collector"}], "and ended before"
        config = {each["Name"]: each["Value"] for each in collector["Environment"]}["AOT_CONFIG_CONTENT"]
        assert "awsxray" in config and "127.0.0.1:4318" in config
        assert prod.environment(name)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
        assert re.fullmatch(
            r"public\.ecr\.aws/aws-observability/aws-otel-collector:v[\d.]+", collector["Image"]
        )

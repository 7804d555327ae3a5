"""Alarms and dashboard speak of metrics that exist, and every alarm says what to do."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from deploy.tests.assembly import Assembly
from scoreboard_site import metrics
from scoreboard_site.logs import JSONFormatter, Redact
from scoreboard_site.tests.processes import ROOT
from scores import audit

SECURITY = {
    "RefusedTokens": "unauthorized",
    "RefusedOtherPlayers": "forbidden",
    "RefusedReusedKeys": "key_reused",
    "RefusedOverLimit": "rate_limited",
}


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


def test_suspicious_requests_are_counted_in_the_security_log_as_it_is_written(prod: Assembly):
    patterns = {
        each["MetricTransformations"][0]["MetricName"]: each["FilterPattern"]
        for each in prod.all("AWS::Logs::MetricFilter")
    }
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.setFormatter(JSONFormatter())
    handler.addFilter(Redact())
    handler.emit = lambda record: lines.append(json.loads(handler.format(record)))  # type: ignore[method-assign]
    audit.logger.addHandler(handler)
    try:
        for code in SECURITY.values():
            audit.refused(code, path="/score/update")
    finally:
        audit.logger.removeHandler(handler)
    for (name, code), line in zip(SECURITY.items(), lines, strict=True):
        terms = dict(re.findall(r'\$\.(\w+) = "([^"]+)"', patterns[name]))
        assert terms == {"logger": "scores.security", "event": code}
        assert terms.items() <= line.items()
        source = "".join(path.read_text() for path in (ROOT / "scores").glob("*.py"))
        assert f'"{code}"' in source, "no answer has this code"


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
        config = {each["Name"]: each["Value"] for each in collector["Environment"]}["AOT_CONFIG_CONTENT"]
        assert "awsxray" in config and "127.0.0.1:4318" in config
        assert prod.environment(name)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
        assert re.fullmatch(
            r"public\.ecr\.aws/aws-observability/aws-otel-collector:v[\d.]+", collector["Image"]
        )

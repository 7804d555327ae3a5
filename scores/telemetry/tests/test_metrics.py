"""Metrics: one catalogue, exact counts, lines that CloudWatch takes, and documents that agree with them."""

from __future__ import annotations

import json
import re
import threading
import time

import pytest

from scores.telemetry import emf, metrics
from scores.telemetry.metrics import Kind, Source
from tools.devstack.install.files import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture
def written():
    """A writer whose lines are kept; recording is on."""
    lines = []
    writer = emf.Writer("Test", 0, write=lines.append)
    metrics.pending.clear()
    metrics.switch(True)
    yield lambda: (writer.flush(), lines)[1]
    metrics.switch(False)
    metrics.pending.clear()


def test_metrics_have_unique_names_and_units_of_cloudwatch():
    names = [metric.name for metric in metrics.CATALOGUE]
    assert len(set(names)) == len(names) >= 14
    units = {Kind.COUNT: {"Count"}, Kind.LEVEL: {"Count", "Seconds"}, Kind.TIME: {"Milliseconds"}}
    assert all(metric.unit in units[metric.kind] for metric in metrics.CATALOGUE)


def test_nothing_is_recorded_while_no_writer_runs():
    metrics.switch(False)
    metrics.record(metrics.UPDATES_ACCEPTED)
    assert not metrics.pending


def test_no_count_is_lost_between_threads(written):
    def record():
        for _ in range(5_000):
            metrics.record(metrics.UPDATES_ACCEPTED)
            metrics.record(metrics.UPDATES_REFUSED, code="banned")

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        written()
    for thread in threads:
        thread.join()
    lines = written()
    assert sum(line.get("UpdatesAccepted", 0) for line in lines) == 20_000
    assert sum(line.get("UpdatesRefused", 0) for line in lines) == 20_000


def test_a_line_has_the_embedded_metric_format(written):
    for milliseconds in (0.0, 0.01, 1, 17.3, 5_000, 1e9):
        metrics.record(metrics.UPDATE_TIME, milliseconds)
    metrics.record(metrics.UPDATES_REFUSED, code="rate_limited")
    metrics.record(metrics.UPDATES_REFUSED, code="banned")
    lines = json.loads(json.dumps(written()))
    assert len(lines) == 3
    for line in lines:
        assert abs(line["_aws"]["Timestamp"] / 1e3 - time.time()) < 10
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Test" and 0 < len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert len(values) <= 100 and all(isinstance(each, int | float) for each in values)
        for dimension in [name for names in directive["Dimensions"] for name in names]:
            assert isinstance(line[dimension], str)
    codes = {line["Code"]: line["UpdatesRefused"] for line in lines[1:]}
    assert codes == {"rate_limited": 1, "banned": 1}
    assert lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[], ["Code"]]
    assert lines[0]["UpdateTime"] == [0, 0.01, 1, 17.3, 5_000, 1e9]
    assert lines[0]["LedgerConflicts"] == 0, "a count is written also when nothing happened"


def test_a_hundred_of_many_times_keep_the_percentiles(written):
    for milliseconds in range(1, 4_001):
        metrics.record(metrics.UPDATE_TIME, milliseconds / 4)
    times = written()[-1]["UpdateTime"]
    assert len(times) == 100 and times == sorted(times)
    assert (times[49], times[98], times[99]) == (500, 990, 1000)
    for count in (1, 99, 100, 101, 150, 199):
        for milliseconds in range(1, count + 1):
            metrics.record(metrics.FAN_OUT_TIME, milliseconds)
        times = written()[-1]["FanOutTime"]
        assert len(times) == min(count, 100) and times[-1] == count


def test_an_unknown_level_is_not_written(written):
    known = [None]
    metrics.watch(metrics.BEHIND_SOCKETS, lambda: known[0])
    try:
        assert "BehindSockets" not in written()[-1]
        known[0] = 3
        assert written()[-1]["BehindSockets"] == 3
    finally:
        del metrics.levels[metrics.BEHIND_SOCKETS]


def test_a_writer_survives_a_broken_log(caplog):
    def gone(line):
        raise BrokenPipeError

    emf.Writer("Test", 0, write=gone).flush()
    assert "metrics were not written" in caplog.text


def test_the_operations_page_lists_every_metric():
    sources = {Source.WEB: "a web process", Source.PROBE: "the probe"}
    rows = ["| metric | kind | unit | what it says | written by |", "|---|---|---|---|---|"]
    for metric in metrics.CATALOGUE:
        name = f"`{metric.name}`" + (", also by `Code`" if metric.by_code else "")
        rows.append(
            f"| {name} | {metric.kind} | {metric.unit} | {metric.meaning} | {sources[metric.source]} |"
        )
    assert "\n".join(rows) in DOCUMENT, "docs/operations.md should say:\n" + "\n".join(rows)


def test_every_alarm_names_a_metric_and_a_section_of_the_docs():
    table = DOCUMENT.split("\n## Alarms\n")[1].split("\n### ")[0]
    alarms = re.findall(r"^\| ([a-z-]+) \| (.+) \| \[([a-z-]+)\]\(#([a-z-]+)\) \|$", table, re.M)
    assert len(alarms) >= 15
    known = {metric.name for metric in metrics.CATALOGUE}
    amazons = {"WriteThrottleEvents", "HTTPCode_Target_5XX_Count", "UnHealthyHostCount", "Evictions"}
    amazons |= {"DatabaseMemoryUsagePercentage"}
    others = {"Sum", "Average", "Maximum", "Code", "ERROR", "CRITICAL", "UserScores", "ScoreLedger"}
    for name, condition, text, anchor in alarms:
        assert name == text == anchor
        assert f"\n### {anchor}\n" in DOCUMENT, f"no entry for {name}"
        used = set(re.findall(r"`([A-Z][A-Za-z_0-9]+)`", condition)) - others
        assert used <= known | amazons, f"{name}: {used - known - amazons}"

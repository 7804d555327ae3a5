"""Writes the metrics of a process to its log, in CloudWatch's embedded metric format.

A thread adds up the recorded values and writes JSON lines. CloudWatch makes metrics of them, so the process
makes no calls for its metrics. One line has all metrics; each code of refusals has another line.
The format: CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from scores.telemetry import metrics
from scores.telemetry.metrics import Kind, Metric, Source

logger = logging.getLogger(__name__)

#: Interval (s) in which recorded values are added up.
ADD_UP_S = 1.0
#: Most values of one metric in a line.
VALUES_MAX = 100

Line = dict[str, Any]


class Sums:
    """The sums since the last line. Used by one thread."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[Metric, str | None], float] = defaultdict(float)
        self._times: defaultdict[Metric, Counter[float]] = defaultdict(Counter)

    def add(self, metric: Metric, code: str | None, value: float) -> None:
        if metric.kind is Kind.TIME:
            self._times[metric][float(f"{value:.3g}")] += 1  # so that few different values are kept
        else:
            self._counts[metric, code] += value

    def lines(self, namespace: str, source: Source, now_ms: int) -> list[Line]:
        """The lines of this source: one with all metrics, and one for each code that occurred."""
        values: Line = {}
        for metric in metrics.CATALOGUE:
            if metric.source is not source:
                continue
            if metric.kind is Kind.COUNT and not metric.by_code:
                values[metric.name] = self._counts[metric, None]
            elif metric.kind is Kind.LEVEL:
                level = metrics.levels[metric]() if metric in metrics.levels else None
                if level is not None:
                    values[metric.name] = level
            elif times := self._times.get(metric):
                values[metric.name] = _picked(times)
        lines = [_line(namespace, [[]], values, now_ms)]
        for (metric, code), count in sorted(self._counts.items(), key=str):
            if metric.by_code:
                coded = {metric.name: count, metrics.CODE: code or "unknown"}
                lines.append(_line(namespace, [[], [metrics.CODE]], coded, now_ms))
        return lines


def _picked(times: Counter[float]) -> list[float]:
    """All values, or the slowest of each hundredth, which keeps the percentiles and the maximum."""
    ordered = sorted(times.elements())
    count = min(len(ordered), VALUES_MAX)
    return [ordered[math.ceil(number * len(ordered) / count) - 1] for number in range(1, count + 1)]


_UNITS = {metric.name: metric.unit for metric in metrics.CATALOGUE}
_PROCESS = f"{socket.gethostname()}/{os.getpid()}"


def _line(namespace: str, dimensions: list[list[str]], values: Line, now_ms: int) -> Line:
    described = [{"Name": name, "Unit": _UNITS[name]} for name in values if name in _UNITS]
    directive = {"Namespace": namespace, "Dimensions": dimensions, "Metrics": described}
    return {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, **values, "process": _PROCESS}


def print_line(line: Line) -> None:
    """Write to standard output in one call, so that lines of several threads do not mix."""
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


class Writer:
    """Adds up every second and writes every `every_s` seconds, and once more when it is stopped."""

    def __init__(
        self,
        namespace: str,
        every_s: float,
        source: Source = Source.WEB,
        write: Callable[[Line], None] = print_line,
    ) -> None:
        self._namespace = namespace
        self._every_s = every_s
        self._source = source
        self._write = write
        self._sums = Sums()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        metrics.switch(True)
        self._thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """Write the remaining values. Waits up to `within_s` for a log that blocks."""
        self._stopping.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        due = time.monotonic() + self._every_s
        while not self._stopping.wait(min(ADD_UP_S, self._every_s)):
            self._add_up()
            if time.monotonic() >= due:
                due += self._every_s
                self.flush()
        metrics.switch(False)
        self.flush()

    def flush(self) -> None:
        """Write now."""
        self._add_up()
        sums, self._sums = self._sums, Sums()
        try:
            for line in sums.lines(self._namespace, self._source, time.time_ns() // 1_000_000):
                self._write(line)
        except Exception:  # a broken log must not end the counting
            logger.exception("metrics were not written")

    def _add_up(self) -> None:
        for _ in range(len(metrics.pending)):
            self._sums.add(*metrics.pending.popleft())

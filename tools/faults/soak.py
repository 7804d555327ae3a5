"""`make soak`: the random mix of faults for half an hour at half load, and a check that nothing grows.

Three server processes: two live through all of it, the third is killed and restarted as the mix wants it.
Writes docs/figures/soak.json and the plots docs/figures/soak-*.svg.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tools.devstack.console import say
from tools.faults import report, suite
from tools.faults.__main__ import prepare
from tools.faults.checks.watch import Resources
from tools.faults.run import Run
from tools.faults.stage import Stage
from tools.reporting import pages, plots

RESULTS = pages.FIGURES / "soak.json"
#: Title and unit of each plot.
PLOTS = {
    "memory_mib": ("Memory of the server processes", "MiB"),
    "threads": ("Threads of the server processes", "threads"),
    "files": ("Open files of the server processes, sockets among them", "files"),
}
#: Of each figure and process: (minutes, median, lowest, highest) of each slice of the time.
Lines = dict[str, dict[str, list[tuple[float, ...]]]]
#: Each point of a plot stands for this share of the whole time: the median and the range of its samples.
POINTS = 60
CALIBRATE_S = 15.0
#: The first minutes are for caches and pools to fill; what is compared is the time after them.
WARM_UP = 0.2
#: More than this between the first and the last fifth is growth: MiB, threads, files.
FLAT = {"memory_mib": 4, "threads": 4, "files": 16}
#: So many that somebody is free when an update falls due, also while a store is away.
WRITERS = 64


def main(arguments: list[str]) -> int:
    """Exit status 1 when an invariant was broken or something has grown."""
    parser = argparse.ArgumentParser("python3 -m tools soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--pace", type=float, help="updates per second, in place of half of what is possible")
    parser.add_argument("--report", action="store_true", help="only write the page and the plots again")
    options = parser.parse_args(arguments)
    if options.report:
        write(json.loads(RESULTS.read_text()))
        return 0
    seed = random.randrange(10**6) if options.seed is None else options.seed
    say(f"SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="scoreboard-soak-") as folder:
        prepare(Path(folder))
        with Stage(Path(folder), webs=3, say=say) as stage:
            capacity = calibrate(stage)
            pace = options.pace or capacity / 2
            say(f"at most {capacity:.0f} updates/s here now; {pace:.0f}/s for {options.minutes:g} min")
            result, run = suite.perform_mix(
                stage,
                60 * options.minutes,
                seed=seed,
                say=say,
                mortal=stage.webs[2:],
                pace=pace,
                threads=WRITERS,
                watch_every_s=1.0,
            )
    found: dict[str, Any] = {
        "seed": seed,
        "capacity": capacity,
        "pace": pace,
        "rate": result.acknowledged / result.seconds,
        "result": dataclasses.asdict(result),
        "lines": lines_of(run.watch.resources, run.began),
    }
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    grown = write(found)
    print(report.table([result]))
    print(f"{pace:.0f} updates/s fell due, {found['rate']:.0f}/s were settled")
    for what, change in grown.items():
        print(f"{what}: {change['first']:.1f} → {change['last']:.1f} ({change['growth']:+.1%})")
    lost = {web.part.name for web in stage.webs[:2]} - found["lines"]["threads"].keys()
    for name in lost:
        print(f"{name} did not live through it")
    return 1 if lost or result.violations or any(map(has_grown, grown, grown.values())) else 0


def has_grown(name: str, change: dict[str, float]) -> bool:
    """Whether it grew by more than FLAT. `name` ends with the name of the resource."""
    return change["last"] - change["first"] > FLAT[name.rpartition(" ")[2]]


def calibrate(stage: Stage) -> float:
    """Updates per second with nothing broken and more writers than are needed."""
    stage.wait_until_well()
    run = Run(stage, "soak", "as fast as it goes", threads=16, pace=0).start()
    before, began = run.acknowledged(), time.monotonic()
    time.sleep(CALIBRATE_S)
    capacity = (run.acknowledged() - before) / (time.monotonic() - began)
    run.close()
    return capacity


def growth(lines: Lines) -> dict[str, dict[str, float]]:
    """For each process that lived through it: what it had at least, in the first and the last fifth.

    Of each slice of the time the lowest, as that is what stays when little is going on; of those the median.
    The first part of the time is left out (WARM_UP).
    """
    found = {}
    for what, processes in lines.items():
        for name, points in processes.items():
            settled = [least for _, _, least, _ in points[int(len(points) * WARM_UP) :]]
            part = max(1, len(settled) // 5)
            first, last = median(settled[:part]), median(settled[-part:])
            found[f"{name} {what}"] = {"first": first, "last": last, "growth": last / first - 1}
    return found


def survivors(samples: list[Resources]) -> dict[str, list[Resources]]:
    """The samples of each process that was one and the same all the time, by name."""
    by_name: dict[str, list[Resources]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    return {name: line for name, line in by_name.items() if len({sample.pid for sample in line}) == 1}


def lines_of(samples: list[Resources], began: float) -> Lines:
    survived = survivors(samples)
    return {what: {name: _points(line, what, began) for name, line in survived.items()} for what in PLOTS}


def write(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Make the page's part and the plots of what was found; the growth."""
    grown = growth(found["lines"])
    for what, (title, unit) in PLOTS.items():
        drawn = plots.lines(title, "minutes", unit, found["lines"][what])
        (pages.FIGURES / f"soak-{what.partition('_')[0]}.svg").write_text(drawn)
    report.write_between("soak", _summary(found, grown))
    return grown


def _summary(found: dict[str, Any], grown: dict[str, dict[str, float]]) -> str:
    rows = "".join(
        f"| {name.replace('memory_mib', 'memory, MiB')} "
        f"| {each['first']:.1f} | {each['last']:.1f} | {each['growth']:+.1%} |\n"
        for name, each in grown.items()
    )
    possible = f"just before, with nothing broken, {found['capacity']:.0f}/s were possible"
    flat = f"{FLAT['memory_mib']} MiB, {FLAT['threads']} threads or {FLAT['files']} files"
    return (
        f"{found['pace']:.0f} updates/s fell due, {found['rate']:.0f}/s were settled; {possible}. "
        f"More than {flat} between the first and the last fifth would count as growth.\n\n"
        f"{report.markdown([found['result']])}\n\n"
        "| process | first fifth | last fifth | growth |\n|---|---:|---:|---:|\n"
        f"{rows}"
    )


def _points(line: list[Resources], what: str, began: float) -> list[tuple[float, ...]]:
    """(minutes, median, lowest, highest) for each slice of the time."""
    size = max(1, len(line) // POINTS)
    points: list[tuple[float, ...]] = []
    for start in range(0, len(line), size):
        piece = line[start : start + size]
        values = [getattr(sample, what) for sample in piece]
        points.append(((piece[0].at - began) / 60, median(values), min(values), max(values)))
    return points


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

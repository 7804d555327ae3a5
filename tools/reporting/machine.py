"""The machine a benchmark ran on and its load, as lines for a page."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


def versions(build: Path, node: Iterable[str], python: Iterable[str]) -> str:
    """Processor, kernel, languages and packages; Node's packages are those installed in `build`."""
    packages = [
        f"{name} {json.loads((build / 'node_modules' / name / 'package.json').read_text())['version']}"
        for name in node
    ]
    packages += [f"{name} {importlib.metadata.version(name)}" for name in python]
    own = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"{platform.machine()}, {processor()}, {os.cpu_count()} cores, "
        f"{platform.system()} {release()}, "
        f"Python {platform.python_version()}, Node {own}; {', '.join(packages)}"
    )


def release() -> str:
    """The kernel's major and minor number: what follows is the name of a build, often a private one."""
    found = re.match(r"\d+\.\d+", platform.release())
    return found[0] if found else "of an unknown release"


def processor() -> str:
    """The model's name, as Linux has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def clocks() -> tuple[float, float]:
    """Seconds that all cores have worked since the start, and that the host gave to others while there was
    work here: *steal* (s; proc(5), /proc/stat). Zeros where the system does not say."""
    try:
        line = Path("/proc/stat").read_text().partition("\n")[0]
    except FileNotFoundError:
        return 0.0, 0.0
    user, nice, system, _, _, irq, softirq, steal = (int(ticks) for ticks in line.split()[1:9])
    hertz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / hertz, steal / hertz


def pace() -> float:
    """The speed of this machine now: the time (ms) of a million additions in Python, best of five."""
    took = []
    for _ in range(5):
        began, total = time.perf_counter(), 0
        for number in range(1_000_000):
            total += number
        took.append(time.perf_counter() - began)
    return min(took) * 1000


@dataclass(frozen=True)
class Conditions:
    """The state of the machine: make one before a measurement, and ask it afterwards."""

    load: float = field(default_factory=lambda: os.getloadavg()[0])
    pace: float = field(default_factory=pace)
    clocks: tuple[float, float] = field(default_factory=clocks)

    def so_far(self) -> dict[str, float]:
        """Load average and pace before it, the pace after it, and the share of the wanted processor time that
        went to other machines."""
        worked, stolen = (now - then for now, then in zip(clocks(), self.clocks, strict=True))
        return {
            "load": self.load,
            "pace": self.pace,
            "pace_after": pace(),
            "stolen": stolen / (worked + stolen) if stolen else 0.0,
        }


def sentence(conditions: dict[str, float]) -> str:
    """The result of `Conditions.so_far` as a sentence for a page."""
    return (
        f"The machine: load average {conditions['load']:.1f} before the run; a million additions in Python "
        f"took {conditions['pace']:.0f} ms before and {conditions['pace_after']:.0f} ms after it; "
        f"{conditions['stolen']:.0%} of the processor time that was wanted went to other guests of the host."
    )

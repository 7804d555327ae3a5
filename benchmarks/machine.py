"""What a benchmark ran on, and what it got of it, as lines for its page."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
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
    """What all cores have worked since the start of the machine, and what its host gave to other machines while
    there was work here: *steal* (s; proc(5), /proc/stat). Zeros where the system does not say."""
    try:
        line = Path("/proc/stat").read_text().partition("\n")[0]
    except FileNotFoundError:
        return 0.0, 0.0
    user, nice, system, _, _, irq, softirq, steal = (int(ticks) for ticks in line.split()[1:9])
    hertz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / hertz, steal / hertz


@dataclass(frozen=True)
class Conditions:
    """What else the machine had to do: make one before a measurement, and ask it afterwards."""

    load: float = field(default_factory=lambda: os.getloadavg()[0])
    began: tuple[float, float] = field(default_factory=clocks)

    def so_far(self) -> dict[str, float]:
        """The load average before, and the share of the wanted processor time that went to other machines."""
        worked, stolen = (now - then for now, then in zip(clocks(), self.began, strict=True))
        return {"load": self.load, "stolen": stolen / (worked + stolen) if stolen else 0.0}


def sentence(conditions: dict[str, float]) -> str:
    """What `Conditions.so_far` gave, for the page."""
    return (
        f"Load average of the machine before the run: {conditions['load']:.1f}. Of the processor time that was "
        f"wanted during it, the host gave {conditions['stolen']:.0%} to other machines."
    )

"""What a benchmark ran on, as a line for its page."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
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

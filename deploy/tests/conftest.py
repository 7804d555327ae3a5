"""The templates of both environments, made once, without a network where the system can take it away."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from deploy.tests import sandbox
from deploy.tests.assembly import Assembly
from tools.devstack import deploying
from tools.devstack.install.dev_programs import python_environment
from tools.devstack.install.files import ROOT
from tools.devstack.processes import children
from tools.devstack.processes.cognito import start_cognito
from tools.devstack.processes.part import Part

Assemblies = Mapping[str, Assembly]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # a worker of pytest-xdist
        session.config.workeroutput["unproved"] = sorted(sandbox.unproved)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    sandbox.unproved.update(getattr(node, "workeroutput", {}).get("unproved", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what passed without a proof."""
    for text in sorted(sandbox.unproved):
        terminalreporter.write_line(f"NOT PROVED HERE: {text}", yellow=True)


#: What is made, and with which settings besides those of the example.
VARIANTS = {
    "dev": {"environment": "dev"},
    "prod": {"environment": "prod"},
    "private": {
        "environment": "dev",
        "public": "false",
        "server_cidrs": "198.51.100.0/24",
        "admin_cidrs": "10.8.0.0/16",
        "oidc_issuer": "https://id.example.com",
        "oidc_client_id": "scoreboard",
        "sentry_secret": "scoreboard/dev/sentry",
        "restored": "R1-",
    },
    "beanstalk": {
        "environment": "dev",
        "beanstalk_platform": "64bit Amazon Linux 2023 v4.9.0 running Python 3.12",
    },
}


#: Several in one process, which loads the CDK once.
_MAKE = """
import json, sys, aws_cdk
from app import build
for folder, context in json.loads(sys.argv[1]).items():
    one = aws_cdk.App(outdir=folder, context=context)
    build(one)
    one.synth()
"""


@pytest.fixture(scope="package")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Assemblies:
    """All of them, each in a folder of its name; the first as `make synth` makes it."""
    folder = tmp_path_factory.mktemp("cdk")
    prefix = sandbox.without_network()
    first, *others = VARIANTS
    given = json.loads((deploying.DEPLOY / "cdk.json").read_text())["context"] | deploying.EXAMPLE
    contexts = json.dumps({str(folder / name): {**given, **VARIANTS[name]} for name in others})
    command = [*prefix, str(deploying.tools() / "python"), "-c", _MAKE, contexts]
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(children.run, command, cwd=deploying.DEPLOY, env=deploying.environment())
        deploying.synthesize(folder / first, {**deploying.EXAMPLE, **VARIANTS[first]}, prefix=prefix)
        code, output = made.result()
    assert code == 0, output
    return {name: Assembly(folder / name) for name in VARIANTS}


@pytest.fixture(scope="package")
def assemblies(variants: Assemblies) -> Assemblies:
    return {name: variants[name] for name in ("dev", "prod")}


@pytest.fixture(scope="package")
def dev(assemblies: Assemblies) -> Assembly:
    return assemblies["dev"]


@pytest.fixture(scope="package")
def prod(assemblies: Assemblies) -> Assembly:
    return assemblies["prod"]


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The packages of the image's first stage and no others: an environment of requirements.lock alone."""
    return python_environment("runtime", 300, ROOT / "requirements.lock")


@dataclasses.dataclass(frozen=True)
class Emulator:
    """An emulator of AWS, answering at `part.url`."""

    part: Part

    def client(self, service: str) -> Any:
        return botocore.session.get_session().create_client(
            service,
            endpoint_url=self.part.url,
            region_name="eu-central-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    def manage(self, command: str, environment: Mapping[str, str]) -> str:
        """What the management command prints."""
        code, output = children.run(
            [sys.executable, "manage.py", command], cwd=ROOT, env={**os.environ, **environment}
        )
        assert code == 0, output
        return output


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    part = start_cognito()
    yield Emulator(part)
    part.stop()

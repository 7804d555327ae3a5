"""The templates of both environments, made once, without a network where the system can take it away."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest

from deploy.tests.assembly import Assembly
from devstack import deploying, process
from devstack.files import ROOT
from devstack.part import Part
from devstack.testtools import start_cognito

Assemblies = Mapping[str, Assembly]


def without_network() -> list[str]:
    """A command that runs another one without any network; empty where the system does not allow it."""
    command = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare"):
        return []
    return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Assemblies:
    made = {}
    for environment in ("dev", "prod"):
        folder = tmp_path_factory.mktemp("cdk") / environment
        context = {**deploying.EXAMPLE, "environment": environment}
        deploying.synthesize(folder, context, prefix=without_network())
        made[environment] = Assembly(folder)
    return made


@pytest.fixture(scope="session")
def dev(assemblies: Assemblies) -> Assembly:
    return assemblies["dev"]


@pytest.fixture(scope="session")
def prod(assemblies: Assemblies) -> Assembly:
    return assemblies["prod"]


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
        code, output = process.run(
            [sys.executable, "manage.py", command], cwd=ROOT, env={**os.environ, **environment}
        )
        assert code == 0, output
        return output


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    part = start_cognito()
    yield Emulator(part)
    part.stop()

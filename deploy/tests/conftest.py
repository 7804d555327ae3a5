"""The templates of both environments, made once, without a network where the system can take it away."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

import pytest

from deploy.tests.assembly import Assembly
from devstack import deploying

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

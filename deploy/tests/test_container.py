"""The image, without Docker: its file checked, its steps done by hand, its command started as it will run."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from django.conf import settings

from deploy.tests import sandbox
from deploy.tests.test_environment import environment_of
from tools.devstack import deploying
from tools.devstack.processes import children
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port
from tools.testing.processes import ROOT, answers

DOCKERFILE = (deploying.DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")


def instructions(name: str, text: str = DOCKERFILE) -> list[str]:
    return [line.split(None, 1)[1].strip() for line in text.splitlines() if line.startswith(f"{name} ")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Path:
    """The folder /app of the image: what COPY takes, and what RUN makes of it."""
    folder = tmp_path_factory.mktemp("image")
    final = DOCKERFILE[DOCKERFILE.index("AS application") :]
    for arguments in instructions("COPY", final):
        source, target = arguments.split()[-2:]
        if source.startswith("/"):
            continue  # the packages of the first stage: `runtime`
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, folder / target, ignore=shutil.ignore_patterns("tests", "__pycache__")
            )
        else:
            shutil.copy(ROOT / source, folder / target)
    (step,) = instructions("RUN", final)
    settings_of_image = dict(
        pair.split("=", 1) for line in instructions("ENV", final) for pair in shlex.split(line)
    )
    env = {**settings_of_image, "PATH": f"{runtime / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", step], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_hadolint_finds_nothing():
    command = [str(deploying.tools() / "hadolint"), str(deploying.DEPLOY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_bases_are_named_by_digest_and_no_image_is_latest(prod):
    # Not in an ARG, where Dependabot does not look.
    pinned, *others = (line.split()[0] for line in instructions("FROM"))
    assert re.fullmatch(r"python:[\d.]+-slim-\w+@sha256:[0-9a-f]{64}", pinned)
    assert instructions("ARG") == ["PYTHON_IMAGE=pinned"] and instructions("FROM")[0].endswith(" AS pinned")
    assert set(others) == {"${PYTHON_IMAGE}"}
    images = [
        *(service["image"] for service in compose()["services"].values()),
        *re.findall(r'"Image": "([^"]+)"', json.dumps(prod.task("web"))),
    ]
    assert len(images) >= 9
    for image in images:
        tag = image.rsplit("/", 1)[-1].partition(":")[2]
        assert tag and tag != "latest", image


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((deploying.DEPLOY / "compose.yaml").read_text()))


def test_the_compose_file_names_services_volumes_files_and_settings_that_exist():
    services, volumes = compose()["services"], compose()["volumes"]
    known = (ROOT / "scoreboard_site" / "settings.py").read_text()
    assert {name for name, service in services.items() if "build" in service} == {
        "create-tables",
        "migrate",
        "web",
        "ranking",
    }
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        for needed, on in service.get("depends_on", {}).items():
            assert on["condition"] != "service_healthy" or "healthcheck" in services[needed], needed
        assert {each.partition(":")[0] for each in service.get("volumes", [])} <= volumes.keys()
        if "build" not in service:
            continue
        build = service["build"]
        assert (deploying.DEPLOY / build["context"] / build["dockerfile"]).samefile(
            deploying.DEPLOY / "Dockerfile"
        )
        for name, value in service["environment"].items():
            assert f'"{name}"' in known, name
            host = urlsplit(value).hostname
            assert host in (None, "127.0.0.1", *services), value
        command = service.get("command", ["python", "manage.py", "serve"])[2]
        assert list(ROOT.glob(f"*/management/commands/{command}.py")) or command == "migrate"


def test_the_build_sees_only_what_runs(prod):
    rules = (deploying.DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    kept = {rule[1:].removesuffix("/**") for rule in rules if rule.startswith("!")}
    copied = {
        word for line in instructions("COPY") for word in line.split()[:-1] if not word.startswith(("-", "/"))
    }
    assert kept == copied | {"deploy/Dockerfile"}
    (docker,) = json.loads(next(prod.folder.glob("*Web.assets.json")).read_text())["dockerImages"].values()
    context = prod.folder / docker["source"]["directory"]
    found = [str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()]
    assert "manage.py" in found and "deploy/Dockerfile" in found
    assert not [
        path for path in found if "/tests/" in path or path.endswith(".pyc") or path.startswith("docs")
    ]
    assert docker["source"]["platform"] == "linux/arm64"
    assert all(any(fnmatch.fnmatch(path, f"{top}*") for top in kept) for path in found)


def test_the_image_runs_what_the_task_runs_as_the_user_of_the_task(prod):
    assert json.loads(instructions("CMD")[0]) == prod.container("web")["Command"]
    assert instructions("USER") == [prod.container("web")["User"]] == ["10001:10001"]
    assert json.loads(instructions("VOLUME")[0]) == [prod.container("web")["MountPoints"][0]["ContainerPath"]]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert "--require-hashes" in instructions("RUN")[0]


def test_the_packages_of_the_image_are_complete_and_none_is_of_the_development(runtime):
    code = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    python = str(runtime / "bin" / "python")
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"django", "daphne", "psycopg"} <= set(found)
    assert not {"pytest", "httpx", "mypy", "django-stubs"} & set(found)


def test_in_the_container_only_tmp_can_be_written_and_nobody_is_root(image, runtime):
    code = (
        "import os, tempfile; print(os.getuid(), os.getgid()); "
        "open(tempfile.mktemp(), 'w').close(); open('written', 'w')"
    )
    done = subprocess.run(
        sandbox.contained(image, runtime, ["python", "-c", code]), capture_output=True, text=True, cwd=image
    )
    if sandbox.available():
        assert done.stdout.strip() == "10001 10001"
        assert "Read-only file system: 'written'" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_where_there_can_be_no_container_ci_says_so_and_everybody_else_is_told(monkeypatch):
    monkeypatch.setattr(sandbox, "unproved", set())
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="a proof: this system permits no user namespaces"):
        sandbox.permitted("a proof", "false")
    monkeypatch.delenv("CI")
    assert not sandbox.permitted("a proof", "false")
    assert len(sandbox.unproved) == 1


def test_the_exact_command_serves_with_the_exact_environment_on_a_read_only_root(image, runtime, stores, dev):
    port = free_port()
    command = [str(port) if word == "8000" else word for word in dev.container("web")["Command"]]
    environment = environment_of(dev, "web") | {
        # The stores of the test in place of those on AWS.
        "DYNAMODB_ENDPOINT_URL": str(settings.DYNAMODB_ENDPOINT_URL),
        "SCOREBOARD_TABLE_PREFIX": "",
        "REDIS_URL": settings.REDIS_URL,
    }
    part = Part(
        "container",
        sandbox.contained(image, runtime, command),
        port=port,
        probe=partial(answers, "/readyz", port),
        env=environment,
        cwd=image,
        grace=30,
    )
    with part.serving():
        page = httpx.get(f"http://127.0.0.1:{port}/", headers={"Host": "board.example.com"})
        assert page.status_code == 200
        (script,) = re.findall(
            r'<script type="module" src="(/static/scoreboard/main\.[0-9a-f]{12}\.js)"', page.text
        )
        assert (image / "staticfiles" / script.removeprefix("/static/")).is_file()
        assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
        assert httpx.get(f"http://127.0.0.1:{port}/", headers={"Host": "evil.example.com"}).status_code == 400
        refused = httpx.post(
            f"http://127.0.0.1:{port}/score/update", headers={"Host": "board.example.com"}, json={}
        )
        assert refused.status_code == 401
    assert not [line for line in part.last_lines if "Traceback" in line]


def test_static_files_are_published_under_their_hashed_names(image, runtime, emulator, dev, tmp_path):
    bucket = "static-files"
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    env = environment_of(dev, "release") | {
        "SCOREBOARD_STATIC_BUCKET": bucket,
        "AWS_ENDPOINT_URL_S3": emulator.part.url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    command = [str(runtime / "bin" / "python"), "manage.py", "publish_static"]
    code, output = children.run(command, cwd=image, env=env)
    assert code == 0, output
    names = {each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    manifest = json.loads((image / "staticfiles" / "staticfiles.json").read_text())["paths"]
    assert names == {f"static/{name}" for name in manifest.values()}
    one = s3.get_object(Bucket=bucket, Key=f"static/{manifest['scoreboard/main.js']}")
    assert one["CacheControl"] == "public, max-age=31536000, immutable"
    assert one["ContentType"].startswith("text/javascript")
    nothing = {**env, "STATIC_ROOT": str(tmp_path)}
    code, output = children.run(command, cwd=image, env=nothing)
    assert code == 1 and "collectstatic" in output

"""The API's description: committed as it is served, true in every phase of Schemathesis, and for Postman."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from scores.api import docs
from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from tools.api import postman
from tools.devstack.install.dev_programs import find_newman
from tools.devstack.install.files import ROOT
from tools.testing import stage
from tools.testing.processes import server


@pytest.fixture(scope="module")
def part(running_stores):
    stage.reset()
    limits = {
        f"SCOREBOARD_{who}_{what}": "100000"
        for who in ("PLAYER", "CLIENT", "NAME")
        for what in ("RATE", "BURST")
    }
    with server(**limits) as part:
        yield part


def test_the_committed_description_is_the_served_one(part):
    served = httpx.get(f"{part.url}/api/schema")
    assert served.headers["Content-Type"] == "application/json"
    assert served.json() == json.loads((ROOT / "docs" / "openapi.json").read_text()), (
        "run `python manage.py export_api` and `python -m tools.api.postman`"
    )


def test_the_committed_collection_is_made_from_it():
    made = postman.collection(json.loads((ROOT / "docs" / "openapi.json").read_text()))
    assert made == json.loads((ROOT / "docs" / "postman.json").read_text()), (
        "run `python -m tools.api.postman`"
    )


def test_every_route_and_every_code_is_described(stores):
    from scoreboard_site.urls import urlpatterns
    from scores.api import problems
    from scores.rules import errors

    document = docs.generate()
    routes = {f"/{pattern.pattern}" for pattern in urlpatterns if str(pattern.pattern).startswith("score/")}
    assert set(document["paths"]) == routes
    text = json.dumps(document)
    security = (ROOT / "docs" / "security.md").read_text()
    classes = [errors.ScoreboardError, *_below(errors.ScoreboardError)]
    for code in {each.code for each in classes} | set(problems._CODES.values()):
        assert f"`{code}`" in security, f"{code} is not in docs/security.md"
        if code not in (
            "refused",
            "version_moved",
            "not_found",
            "method_not_allowed",
        ):  # of moderators, of no route
            assert f"`{code}`" in text, f"{code} is not in the description"


def test_every_error_has_its_codes_and_an_example_of_each(stores):
    for operations in docs.generate()["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                content = answer.get("content", {}).get("application/problem+json")
                if content is None:
                    assert int(status) < 400
                    continue
                shown = [example["value"] for example in content["examples"].values()]
                codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"]
                assert [each["code"] for each in shown] == codes
                assert {each["status"] for each in shown} == {int(status)}


def _below(parent: type) -> list[type]:
    children: list[type] = parent.__subclasses__()
    return [each for child in children for each in (child, *_below(child))]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_description_is_only_read(part, method):
    answer = httpx.request(method, f"{part.url}/api/schema")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["code"] == "method_not_allowed"


def test_schemathesis_finds_nothing(part, tmp_path, capsys):
    report = tmp_path / "report.xml"
    token = local_issuer.mint("server", WRITE_SCOPE)
    command = [
        str(Path(sys.prefix, "bin", "st")),
        "--config-file",
        str(ROOT / "tools" / "api" / "schemathesis.toml"),
        "run",
    ]
    options = [
        "--header",
        f"Authorization: Bearer {token}",
        "--report",
        "junit",
        "--report-junit-path",
        str(report),
    ]
    done = subprocess.run(
        [*command, f"{part.url}/api/schema", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    with capsys.disabled():
        lines = [line.strip() for line in done.stdout.splitlines()]
        print("\nschemathesis:", *[line for line in lines if "generated" in line or "cases" in line])


def test_newman_runs_the_collection(part, capsys):
    token = local_issuer.mint("USER-123")
    values = [f"--env-var={name}={value}" for name, value in (("baseUrl", part.url), ("token", token))]
    command = [*find_newman(), "run", str(ROOT / "docs" / "postman.json"), "--color", "off", *values]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    with capsys.disabled():
        print("\nnewman:", *[line.strip() for line in done.stdout.splitlines() if "assertions" in line])


def test_the_documentation_works_under_our_policy(part, chromium: Browser):
    page = chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(f"{part.url}/api/docs")
    page.get_by_text("/score/update").first.wait_for()
    assert page.locator(".opblock").count() == 5
    assert complaints == []
    assert all(url.startswith((part.url, "data:")) for url in foreign)
    page.close()

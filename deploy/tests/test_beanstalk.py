"""The alternative: what the platform is given, and its nginx in front of a real server."""

from __future__ import annotations

import re
import shlex

import httpx
import pytest
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from deploy.tests.assembly import Assembly
from tools.devstack import deploying
from tools.devstack.processes.ports import free_port
from tools.testing import stage
from tools.testing.nginx import nginx
from tools.testing.processes import server

FILES = deploying.DEPLOY / "beanstalk"
APPLICATION = FILES / ".platform" / "nginx" / "conf.d" / "elasticbeanstalk" / "00_application.conf"


def test_a_socket_opens_through_the_platforms_nginx_and_not_without_our_headers(stores, tmp_path):
    static = tmp_path / "static"
    static.mkdir()
    (static / "main.js").write_text("1")
    stage.add("ann", 7)
    upgrade = re.findall(r"(?m)^.*(?:Upgrade|Connection).*$", APPLICATION.read_text())
    with server() as part:
        with nginx(tmp_path, free_port(), part.port, static) as proxy:
            with connect(f"ws://127.0.0.1:{proxy.port}/ws/scoreboard") as viewer:
                assert '"score":7' in str(viewer.recv(timeout=10))
            script = httpx.get(f"{proxy.url}/static/main.js")
            assert "immutable" in script.headers["Cache-Control"]
            assert httpx.get(f"{proxy.url}/score/top10").json()[0]["userId"] == "ann"
        without = dict.fromkeys(upgrade, "")
        with (
            nginx(tmp_path, free_port(), part.port, static, without) as proxy,
            pytest.raises(InvalidHandshake),
        ):
            connect(f"ws://127.0.0.1:{proxy.port}/ws/scoreboard").close()


def test_the_environment_has_the_timeouts_health_check_and_secrets_of_the_containers(variants):
    beanstalk: Assembly = variants["beanstalk"]
    environment = beanstalk.one("AWS::ElasticBeanstalk::Environment")
    options = {
        (each["Namespace"], each["OptionName"]): each["Value"] for each in environment["OptionSettings"]
    }
    process = "aws:elasticbeanstalk:environment:process:default"
    assert options[process, "HealthCheckPath"] == "/readyz"
    assert options[process, "DeregistrationDelay"] == "30"
    assert options[process, "StickinessEnabled"] == "false"
    assert options["aws:elbv2:loadbalancer", "IdleTimeout"] == "120"
    assert options["aws:elbv2:listener:default", "ListenerEnabled"] == "false"
    secrets = {name for space, name in options if space.endswith("environmentsecrets")}
    assert secrets == {"SECRET_KEY", "REDIS_URL", "SCOREBOARD_TICKET_KEYS"}
    variables = {
        name: value
        for (space, name), value in options.items()
        if space.endswith(":environment") and name.isupper()
    }
    assert variables["SCOREBOARD_TRUSTED_PROXIES"] == "2" and variables["DEBUG"] == "false"
    assert environment["SolutionStackName"].startswith("64bit Amazon Linux 2023")
    assert beanstalk.stacks["ScoreboardDevWeb"]["Outputs"].keys() >= {"Url", "MachineClientId", "TokenUrl"}


def test_the_bundle_holds_the_application_its_packages_and_how_to_run_it(variants):
    assembly: Assembly = variants["beanstalk"]
    (bundle,) = (path for path in assembly.folder.glob("asset.*") if (path / "Procfile").exists())
    commands = dict(line.split(": ", 1) for line in (bundle / "Procfile").read_text().splitlines())
    assert shlex.split(commands["web"])[:3] == ["python", "manage.py", "serve"]
    assert "rebuild_ranking --full --watch" in commands["ranking"]
    assert "--hash=sha256:" in (bundle / "requirements.txt").read_text()
    assert (bundle / "manage.py").exists() and not list(bundle.rglob("tests"))
    hook = bundle / ".platform" / "hooks" / "predeploy" / "10_release.sh"
    assert hook.stat().st_mode & 0o111 and "create_tables" in hook.read_text()
    assert (bundle / ".platform/nginx/conf.d/elasticbeanstalk/00_application.conf").exists()

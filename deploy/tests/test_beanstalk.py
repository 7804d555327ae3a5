"""The alternative: what the platform is given, and its nginx in front of a real server."""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from deploy.tests.assembly import Assembly
from tools.devstack import deploying
from tools.devstack.install.dev_programs import find_nginx
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import answers, free_port
from tools.testing import stage
from tools.testing.processes import server

FILES = deploying.DEPLOY / "beanstalk"
PLATFORM = FILES / ".platform" / "nginx" / "conf.d"
#: As the platform includes our files: one in the http block, the other in the server block.
NGINX = """
user {user};
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/javascript js; }}
  {in_http}
  server {{
    listen 127.0.0.1:{port};
    {in_server}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, application: int, in_server: str) -> Iterator[str]:
    """The platform's nginx in front of the server on port `application`; its address."""
    port = free_port()
    in_server = in_server.replace("127.0.0.1:8000", f"127.0.0.1:{application}")
    in_server = in_server.replace("/var/app/current/staticfiles/", f"{folder}/static/")
    in_http = (PLATFORM / "connection.conf").read_text()
    text = NGINX.format(
        user=getpass.getuser(), folder=folder, port=port, in_http=in_http, in_server=in_server
    )
    (folder / "nginx.conf").write_text(text)

    command = [find_nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    part = Part("nginx", command, port=port, probe=partial(answers, port), cwd=folder)
    with part.serving():
        yield f"127.0.0.1:{port}"


def test_a_socket_opens_through_the_platforms_nginx_and_not_without_our_headers(stores, tmp_path):
    ours = (PLATFORM / "elasticbeanstalk" / "00_application.conf").read_text()
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "main.js").write_text("1")
    stage.add("ann", 7)
    with server() as part:
        with nginx(tmp_path, part.port, ours) as address:
            with connect(f"ws://{address}/ws/scoreboard") as viewer:
                assert '"score":7' in str(viewer.recv(timeout=10))
            script = httpx.get(f"http://{address}/static/main.js")
            assert "immutable" in script.headers["Cache-Control"]
            assert httpx.get(f"http://{address}/score/top10").json()[0]["userId"] == "ann"
        plain = re.sub(r"(?m)^.*(Upgrade|Connection).*$", "", ours)
        with nginx(tmp_path, part.port, plain) as address, pytest.raises(InvalidHandshake):
            connect(f"ws://{address}/ws/scoreboard").close()


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

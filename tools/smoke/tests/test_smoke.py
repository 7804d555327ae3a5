"""`make smoke` against a server under production settings behind a real nginx, well and not well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from scores.identity import local_issuer
from scores.identity.tests.test_cognito import Pool
from scores.identity.verifier import WRITE_SCOPE
from tools.devstack.install.files import ROOT
from tools.devstack.processes.cognito import start_cognito
from tools.devstack.processes.ports import free_port
from tools.smoke.checks import IN_ORDER, redirect_to_https
from tools.smoke.http import Client
from tools.smoke.site import Site, site_of
from tools.testing import stage
from tools.testing.nginx import nginx
from tools.testing.processes import server
from tools.testing.tls import make_certificate


def only_for_development() -> list[str]:
    """The names of the packages that are installed for development only."""
    run, dev = (
        set(re.findall(r"^([\w.-]+)==", (ROOT / file).read_text(), re.M))
        for file in ("requirements.lock", "requirements-dev.lock")
    )
    return sorted(name.replace("-", "_") for name in dev - run)


class Deployment:
    """A deployment: settings, certificate, files on a CDN, a key set at an https address."""

    def __init__(self, folder) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"https://localhost:{self.port}"
        self.key, self.certificate = make_certificate(folder)
        self.settings = {
            "DEBUG": "false",
            "SECRET_KEY": "nHc7-Uq9_xW2zR4bT6yV8mK1pL3sD5fG7hJ9aQ0wE2rT4yU6iO8p",
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "SCOREBOARD_ALLOWED_ORIGINS": self.url,
            "COGNITO_USER_POOL": "eu-central-1_AbCdEf123",
            "COGNITO_ISSUER": "urn:scoreboard:local-issuer",
            "COGNITO_KEYSET_URL": f"{self.url}/keys.json",
            "COGNITO_CLIENT_IDS": "local",
            "SCOREBOARD_REQUIRE_TICKET": "true",
            "SCOREBOARD_TICKET_KEYS": "2026-11:" + "k" * 48,
            "SCOREBOARD_TRUSTED_PROXIES": "1",
            "STATIC_ROOT": str(folder / "static"),
            "SSL_CERT_FILE": str(self.certificate),
        }
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=os.environ | self.settings, check=True, timeout=60)

    @contextmanager
    def behind_nginx(self, application, changes=None, keys=None):
        keys, static = keys or local_issuer.ensure_key() / "jwks.json", self.folder / "static"
        tls = self.certificate, self.key
        with nginx(self.folder, self.port, application, static, changes, tls=tls, keys=keys) as part:
            yield part

    def smoke(self, **who):
        """(exit status, {check: well}, what was printed)"""
        who = who or {"SMOKE_TOKEN": local_issuer.mint("deployer", WRITE_SCOPE)}
        env = os.environ | {"URL": self.url, "SSL_CERT_FILE": str(self.certificate)} | who
        hidden = f"import runpy, sys; sys.modules.update(dict.fromkeys({only_for_development()!r}))"
        command = [sys.executable, "-c", f"{hidden}; runpy.run_module('tools.smoke', run_name='__main__')"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
        lines = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "FAIL"))]
        secret = who.get("SMOKE_TOKEN") or who["SMOKE_CLIENT_SECRET"]
        assert secret not in done.stdout + done.stderr
        assert bool(done.stderr) == (done.returncode == 2), done.stderr
        found = {line[6:30].strip(): line.startswith("ok") for line in lines}
        return done.returncode, found, done.stdout + done.stderr


@pytest.fixture
def deployment(stores, tmp_path):
    return Deployment(tmp_path)


def test_a_whole_deployment_is_well_and_its_faults_are_named(deployment):
    names = [check.__name__.replace("_", " ") for check in IN_ORDER]
    with server(**deployment.settings) as part:
        with deployment.behind_nginx(part.port):
            status, found, output = deployment.smoke()
            assert (status, list(found)) == (0, names), output
            assert all(found.values())
            assert stage.scoreboard().players.read("smoke-test").score == 1
        # A proxy that speaks no WebSocket and lets everything be cached.
        upgrade = "proxy_set_header Upgrade $http_upgrade;"
        caching = 'proxy_hide_header Cache-Control; add_header Cache-Control "max-age=600";'
        with deployment.behind_nginx(part.port, {upgrade: caching}):
            status, found, output = deployment.smoke()
    assert status == 1
    assert {name for name, well in found.items() if not well} == {
        "page",
        "socket opens",
        "socket refuses others",
        "update",
        "replay",
        "socket shows the update",
        "board",
        "cache headers",
    }, output
    assert stage.scoreboard().players.read("smoke-test").score == 2


@pytest.fixture
def pool():
    part = start_cognito()
    yield Pool(part)
    part.stop()


def test_a_private_board_is_looked_at_by_a_client_that_signs_in_at_the_token_endpoint(deployment, pool):
    keys = deployment.folder / "keys.json"
    keys.write_text(httpx.get(pool.keys_url).text)
    private = deployment.settings | {
        "SCOREBOARD_PUBLIC": "false",
        "COGNITO_USER_POOL": pool.id,
        "COGNITO_ISSUER": pool.issuer,
        "COGNITO_CLIENT_IDS": pool.machine["ClientId"],
    }
    who = {
        "SMOKE_TOKEN_URL": f"{pool.part.url}/oauth2/token",
        "SMOKE_CLIENT_ID": pool.machine["ClientId"],
        "SMOKE_CLIENT_SECRET": pool.machine["ClientSecret"],
    }
    with server(**private) as part, deployment.behind_nginx(part.port, keys=keys):
        status, found, output = deployment.smoke(**who)
        assert (status, len(found)) == (0, len(IN_ORDER)), output
        assert "private, no-store" in output
        assert stage.scoreboard().players.read("smoke-test").score == 1
        status, found, output = deployment.smoke(**who | {"SMOKE_CLIENT_SECRET": "not-the-secret"})
    assert (status, found) == (2, {}) and "signing in: 127.0.0.1" in output


def test_where_nobody_answers_at_http_there_is_nothing_to_redirect():
    site = Site("https://127.0.0.99", Client("https://127.0.0.99"), "", "ann")
    assert redirect_to_https(site) == "nobody answers at http://"
    site.close()


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "say which deployment"),
        ({"URL": "board.example.com"}, "say which deployment"),
        ({"URL": "https://board.example.com/page"}, "say which deployment"),
        ({"URL": "https://board.example.com"}, "there is no token"),
        ({"URL": "https://board.example.com", "SMOKE_TOKEN": "x", "SMOKE_USER": "a b"}, "SMOKE_USER must be"),
    ],
)
def test_it_says_what_it_needs(environment, text):
    with pytest.raises(Exception, match=text):
        site_of(environment)

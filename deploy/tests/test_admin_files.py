"""The admin's pages in a real browser, with their files from another origin, as on AWS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from deploy.tests.assembly import Assembly
from deploy.tests.test_edge import behaviours
from tools.testing import stage
from tools.testing.moderators import PASSWORD, admin_site
from tools.testing.processes import ROOT


class Files(SimpleHTTPRequestHandler):
    """Serves static/ as `/static/`, with these headers more."""

    def __init__(self, headers_more: dict[str, str], *arguments: Any) -> None:
        self._more = headers_more
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        return str(ROOT / "static" / path.removeprefix("/static/"))

    def end_headers(self) -> None:
        for name, value in self._more.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def files(headers: dict[str, str]) -> Iterator[str]:
    """Address of a server of the files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, headers)) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/static/"
        running.shutdown()


def headers_of_files(assembly: Assembly) -> dict[str, str]:
    """What CloudFront adds to a static file for a page of another origin."""
    policies = {
        identifier: resource["Properties"]["ResponseHeadersPolicyConfig"]
        for _, identifier, resource in assembly.resources("AWS::CloudFront::ResponseHeadersPolicy")
    }
    policy = policies[behaviours(assembly)["/static/*"]["ResponseHeadersPolicyId"]]
    (origin,) = policy["CorsConfig"]["AccessControlAllowOrigins"]["Items"]
    csp = policy["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    others = {each["Header"]: each["Value"] for each in policy["CustomHeadersConfig"]["Items"]}
    return {"Access-Control-Allow-Origin": origin, "Content-Security-Policy": csp, **others}


@pytest.mark.parametrize("allowed", [True, False])
def test_the_admins_script_runs_from_the_boards_domain_and_would_not_without_its_header(
    stores: None,
    prod: Assembly,
    chromium: Browser,
    tmp_path: Path,
    allowed: bool,
):
    headers = headers_of_files(prod)
    if not allowed:
        del headers["Access-Control-Allow-Origin"]
    stage.reset()
    database = f"sqlite:///{tmp_path}/admin.sqlite3"
    with files(headers) as address, admin_site(database, STATIC_URL=address) as site:
        site.add("ann", 10)
        page = chromium.new_context().new_page()
        page.goto(f"{site.url}admin/")
        page.get_by_label("Username").fill("moderator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.goto(f"{site.url}{site.path()}")
        page.wait_for_load_state("networkidle")
        every = page.locator('[data-part="all"]')
        expect(every).to_be_visible() if allowed else expect(every).to_be_hidden()
        page.context.close()

"""The stage of the page tests: a real server process on the real stores, and a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from tools.devstack.install.chromium import FLAGS, find_chromium
from tools.devstack.processes.part import Part
from tools.testing.processes import server


class Site:
    """A server process, as a browser and the site's own server see it.

    Everything goes over HTTP: Playwright occupies the event loop of this thread.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.url = f"{part.url}/"
        self.client = httpx.Client(base_url=self.url)
        self._tokens: dict[str, str] = {}

    def add(self, user_id: str, increment: int) -> None:
        """Points from the site's own server."""
        body = {"userId": user_id, "increment": increment}
        answer = self.call("POST", "score/update", body, "server")
        assert answer.status_code == 200, answer.text

    def rename(self, user_id: str, name: str | None) -> httpx.Response:
        return self.call("PUT", "score/me/name", {"name": name}, user_id)

    def call(self, method: str, path: str, body: Any = None, user: str | None = None) -> httpx.Response:
        """One request with the token of `user` ("server": that may write for anybody)."""
        from scores.identity import local_issuer
        from scores.identity.verifier import WRITE_SCOPE

        if user and user not in self._tokens:
            self._tokens[user] = local_issuer.mint(user, WRITE_SCOPE if user == "server" else "")
        headers = {"Authorization": f"Bearer {self._tokens[user]}"} if user else {}
        return self.client.request(method, path, json=body, headers=headers)


@contextmanager
def running_site(**environment: str) -> Iterator[Site]:
    """A server process with these settings; one update may raise a score by far more than usual."""
    environment = {"SCOREBOARD_MAX_INCREMENT": "1000000000"} | environment
    with server(**environment) as part:  # type: ignore[arg-type]
        site = Site(part)
        try:
            yield site
        finally:
            site.client.close()


@pytest.fixture
def site(stores: None) -> Iterator[Site]:
    """A running server on empty stores."""
    with running_site() as site:
        yield site


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a module; each opens contexts of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """Opens pages, and remembers what browsers complain about."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, url: str, *, live: bool = True, **context: Any) -> Page:
        """A page in a context of its own (options as of Browser.new_context), live unless said otherwise."""
        page = self._browser.new_context(**context).new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._refuse)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        if live:
            expect(page.get_by_role("status")).to_have_text("Live")
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def close(self) -> None:
        for context in self._browser.contexts:
            context.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    """Somebody with a browser. A test that expects complaints empties the list."""
    visitor = Visitor(chromium)
    yield visitor
    visitor.close()
    assert visitor.complaints == []

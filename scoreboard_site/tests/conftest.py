"""The stage of the page tests: a real server process on the real stores, and a real Chromium."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from devstack.chromium import FLAGS, find_chromium
from devstack.files import ROOT
from devstack.part import Part
from devstack.ports import free_port
from scores import local_issuer
from scores.identity import WRITE_SCOPE


class Site:
    """One server process, as a browser sees it."""

    def __init__(self, **environment: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self._client = httpx.Client(base_url=self.url)
        self._part = Part(
            "server",
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            port=port,
            probe=self._answers,
            env={**os.environ, "PORT": str(port), **environment},
            cwd=ROOT,
        )

    def add(self, user_id: str, increment: int) -> None:
        """Points from the site's own server. Over HTTP, because Playwright occupies this thread's loop."""
        answer = self.call("POST", "score/update", {"userId": user_id, "increment": increment}, "server")
        assert answer.status_code == 200, answer.text

    def call(self, method: str, path: str, body: Any = None, user: str | None = None) -> httpx.Response:
        """One request with the token of `user` ("server": that may write for anybody)."""
        scope = WRITE_SCOPE if user == "server" else ""
        headers = {"Authorization": f"Bearer {local_issuer.mint(user, scope)}"} if user else {}
        return self._client.request(method, path, json=body, headers=headers)

    def start(self) -> None:
        self._part.start()
        self._part.wait_ready()

    def kill(self) -> None:
        self._part.kill()

    def stop(self) -> None:
        self._client.close()
        self._part.stop()

    def _answers(self) -> bool:
        try:
            return self._client.get("readyz").status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
def site(stores: None) -> Iterator[Site]:
    """A running server on empty stores."""
    site = Site()
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a module; each opens contexts of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()

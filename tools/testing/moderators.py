"""The stage of the admin tests: a server with accounts, on SQLite or PostgreSQL, and who signs in there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import httpx

from tools.devstack.processes.part import Part
from tools.testing.browser import Site
from tools.testing.processes import ROOT, server

PASSWORD = "correct horse battery"
#: Accounts and what they are: the ready-made groups, or more.
ACCOUNTS = {
    "viewer": "Viewers",
    "moderator": "Moderators",
    "leaver": "Moderators",
    "superuser": None,
    "newcomer": "",
}
_PREPARE = """
import sys, django
django.setup()
from django.contrib.auth.models import Group, User
from django.core.management import call_command
call_command("migrate", verbosity=0)
password, accounts = sys.argv[1], eval(sys.argv[2])
for name, group in accounts.items():
    user = User.objects.create_user(name, password=password, is_staff=True, is_superuser=group is None)
    if group:
        user.groups.add(Group.objects.get(name=group))
"""


class AdminSite(Site):
    """A server with an admin site, as moderators see it."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self.visitors: list[Moderator] = []

    def close(self) -> None:
        for client in [self.client, *(visitor.client for visitor in self.visitors)]:
            client.close()

    def path(self, rest: str = "") -> str:
        return f"admin/scores/player/{rest}"

    def visit(self) -> Moderator:
        """Somebody who has not signed in."""
        self.visitors.append(Moderator(self))
        return self.visitors[-1]

    def sign_in(self, account: str, password: str = PASSWORD) -> Moderator:
        moderator = self.visit()
        answer = moderator.try_password(account, password)
        assert answer.status_code == 302, answer.text
        return moderator


class Moderator:
    """A browser without a screen: it keeps cookies, and fills in the forms it was given."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site
        self.client = httpx.Client(base_url=site.url, headers={"Origin": site.part.url})

    def try_password(self, account: str, password: str) -> httpx.Response:
        self.client.get("admin/login/")
        form = {"username": account, "password": password, "next": "/admin/"} | self.token()
        return self.client.post("admin/login/", data=form)

    def token(self) -> dict[str, str]:
        """The field against forged requests."""
        return {"csrfmiddlewaretoken": self.client.cookies.get("csrftoken") or ""}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, form: dict[str, Any], **options: Any) -> httpx.Response:
        return self.client.post(path, data=form | self.token(), **options)

    def form(self, user_id: str, action: str, **fields: Any) -> dict[str, Any]:
        """The form of an action as rendered now, filled in."""
        text = self.get(self.site.path(f"id/{user_id}/{action}/")).text
        hidden = dict(re.findall(r'type="hidden" name="(version|entry)" value="([^"]+)"', text))
        assert set(hidden) == {"version", "entry"}, text
        return hidden | {"reason": "because of a test"} | fields

    def act(self, user_id: str, action: str, form: dict[str, Any]) -> httpx.Response:
        return self.post(self.site.path(f"id/{user_id}/{action}/"), form)


def words(answer: httpx.Response) -> str:
    """The text of a page, on one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@contextmanager
def admin_site(database_url: str, **environment: str) -> Iterator[AdminSite]:
    """A server whose accounts are in this database, which is empty until now."""
    prepare(database_url)
    environment = {"DATABASE_URL": database_url, "SCOREBOARD_MAX_INCREMENT": "1000000000"} | environment
    with server(**environment) as part:  # type: ignore[arg-type]
        site = AdminSite(part)
        try:
            yield site
        finally:
            site.close()


def prepare(database_url: str) -> None:
    """Tables and accounts, in a process of their own, as at a deployment."""
    subprocess.run(
        [sys.executable, "-c", _PREPARE, PASSWORD, repr(ACCOUNTS)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "scoreboard_site.settings"},
        check=True,
        timeout=120,
    )

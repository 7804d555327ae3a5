"""The deployment under test: its client, and the results that later checks need."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from realtime.probe import client_tls
from scores.identity.machine_client import TokenRefused, fetch_token
from scores.rules.players import ID_PATTERN
from tools.devstack.errors import StackError
from tools.smoke.http import TIMEOUT_S, Answer, Client

#: A change is on every page, cache included, within this time (s).
SOON_S = 8.0


class Failed(Exception):
    """A failed check; the text is what was found instead."""


def need(condition: Any, finding: str) -> None:
    """Raises Failed with this finding unless the condition holds."""
    if not condition:
        raise Failed(finding)


@dataclasses.dataclass
class Site:
    """A deployment at `url` (no path), and the player `user_id` whose score `token` may raise."""

    url: str
    client: Client
    token: str
    user_id: str
    key: str = dataclasses.field(default_factory=lambda: f"smoke-{uuid.uuid4()}")
    new_score: int | None = None
    viewer: ClientConnection | None = None

    @property
    def secure(self) -> bool:
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def top10(self, **headers: str) -> Answer:
        """The Top 10, with the token if the board is private."""
        answer = self.client.get("/score/top10", headers=headers)
        return (
            self.client.get("/score/top10", headers=headers | self.bearer())
            if self.private(answer)
            else answer
        )

    @staticmethod
    def private(answer: Answer) -> bool:
        return answer.status_code == 401

    def update(self, increment: int = 1, token: str | None = None) -> Answer:
        """One update with this run's key."""
        headers = {"Idempotency-Key": self.key, "Authorization": f"Bearer {token or self.token}"}
        body = {"userId": self.user_id, "increment": increment}
        return self.client.post("/score/update", body, headers)

    def open_socket(self, origin: str | None) -> ClientConnection:
        """A viewer's socket; raises what websockets raises."""
        address = self.url.replace("http", "ws", 1) + "/ws/scoreboard"
        private = self.private(self.client.get("/score/top10"))
        return connect(
            address,
            origin=origin,  # type: ignore[arg-type]
            subprotocols=["scoreboard", self.token] if private else None,  # type: ignore[list-item]
            ssl=client_tls.context() if self.secure else None,
            open_timeout=TIMEOUT_S,
            close_timeout=1,
        )

    def close(self) -> None:
        if self.viewer is not None:
            self.viewer.close()


def site_of(environment: Mapping[str, str]) -> Site:
    """The deployment and the player to check with. Raises StackError when one is missing."""
    url = environment.get("URL", "").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
        raise StackError("say which deployment: make smoke URL=https://board.example.com")
    token = environment.get("SMOKE_TOKEN", "")
    if not token:
        given = [environment.get(f"SMOKE_{name}", "") for name in ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET")]
        if not all(given):
            raise StackError("there is no token to raise a score with")
        try:
            token = fetch_token(*given)
        except TokenRefused as error:
            raise StackError(f"signing in: {error}") from error
    claims = claims_of(token)
    is_server = "scoreboard/score.write" in str(claims.get("scope", "")).split()
    user_id = environment.get("SMOKE_USER") or "smoke-test"
    if not is_server:
        user_id = str(claims.get("sub", ""))
    if not ID_PATTERN.fullmatch(user_id):
        raise StackError("SMOKE_USER must be 1 to 128 characters of A-Z a-z 0-9 _ . : @ -")
    return Site(url, Client(url), token, user_id)


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unverified; none if it is no token."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}


def soon(look: Callable[[], Any]) -> Any:
    """The first true value of `look` within SOON_S, else the last one."""
    deadline = time.monotonic() + SOON_S
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found

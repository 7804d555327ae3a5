"""Simulated players for `make run DEMO=1`: they play through the public API as a site's server would.

A few stars rise through the field, most players play seldom, some tie with the one above them, and
now and then a whole group finishes at once. Started by the supervisor, which sets PORT and DATA_DIR.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import django

from tools.devstack.errors import StackError

PLAYERS = [f"USER-{number}" for number in range(101, 161)]
#: Display names of the first players; the others have none.
NAMES = (
    "Mira", "Tomás", "Noor", "Ingrid Vestergaard", "サクラ", "Kofi", "Léa 🚀", "Ravi", "دانية", "Sunniva",
    "Jun-ho", "Oluwaseun", "Zoë", "Marek", "Pixel Pirate", "Hana", "Дарья", "Beau", "Ximena", "T. Rex",
)  # fmt: skip
STAR_SECONDS = 25.0
MAX_INCREMENT = 100
REPORT_SECONDS = 60.0
NO_HEADERS: Mapping[str, str] = {}

Move = tuple[str, int, float]


@dataclass
class Field:
    """The players and how often each plays: a few play most, and one star at a time plays more."""

    dice: random.Random
    board: list[tuple[str, int]] = field(default_factory=list)
    star: str = ""
    star_until: float = 0.0

    def opening(self) -> Iterator[Move]:
        """The first seconds, in which the board fills: (player, increment, pause after it in seconds)."""
        for player in self.dice.sample(PLAYERS[:20], 14):
            yield player, self.dice.randint(5, 60), 0.08

    def moves(self, now: float) -> Iterator[Move]:
        """The next moves: one update, a tie, or a burst of many."""
        if now >= self.star_until:
            self.star, self.star_until = self.dice.choice(PLAYERS), now + STAR_SECONDS
        chance = self.dice.random()
        if chance < 0.03:
            for player in self.dice.sample(PLAYERS, 12):
                yield player, self.dice.randint(1, 20), 0.02
        elif chance < 0.10 and (tie := self._tie()):
            yield tie
        elif chance < 0.25:
            yield self.star, self.dice.randint(8, 25), 0.15
        else:
            yield self._somebody(), self.dice.choice((1, 2, 5, 5, 10, 10, 20)), self.dice.expovariate(6)

    def _somebody(self) -> str:
        weights = [1 / place for place in range(1, len(PLAYERS) + 1)]
        return self.dice.choices(PLAYERS, weights)[0]

    def _tie(self) -> Move | None:
        """An update that brings somebody on the board level with the next above."""
        pairs = list(zip(self.board, self.board[1:], strict=False))
        gaps = [(low[0], high[1] - low[1]) for high, low in pairs if 0 < high[1] - low[1] <= MAX_INCREMENT]
        return (*self.dice.choice(gaps), 0.5) if gaps else None


class Client:
    """The public API, called with a server's token that may name any player."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self._token = ""
        self.accepted = 0

    def add(self, player: str, increment: int) -> None:
        """One update, tried again with the same key while the server is away, so that it counts once."""
        key = str(uuid.uuid4())
        body = json.dumps({"userId": player, "increment": increment})
        for _ in range(8):
            self._token = self._token or token("demo", "scoreboard/score.write")
            headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
            status, answer = self._call("POST", "/score/update", body, headers)
            if status == 200:
                self.accepted += 1
                return
            if status == 403 and json.loads(answer)["code"] == "banned":  # by somebody at the admin site
                return
            if status == 401:
                self._token = ""
            elif status not in (0, 429, 503):
                raise StackError(f"an update of {player} was refused with {status}: {answer[:200].decode()}")
            time.sleep(0.5)

    def rename(self, player: str, name: str) -> None:
        """Set a player's name with the player's own token; a failure is ignored."""
        self._call(
            "PUT", "/score/me/name", json.dumps({"name": name}), {"Authorization": f"Bearer {token(player)}"}
        )

    def board(self) -> list[tuple[str, int]]:
        status, answer = self._call("GET", "/score/top10")
        return [(row["userId"], row["score"]) for row in json.loads(answer)] if status == 200 else []

    def _call(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = NO_HEADERS
    ) -> tuple[int, bytes]:
        """Status and body; status 0 when the server is away."""
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, b""


def token(user: str, scope: str = "") -> str:
    """A token of the local issuer."""
    from scores.identity import local_issuer

    return local_issuer.mint(user, scope)


def play(client: Client, players: Field) -> None:
    """Play until the process is ended, with a line on how it goes now and then."""
    for player, increment, pause in players.opening():
        client.add(player, increment)
        time.sleep(pause)
    for player, name in zip(PLAYERS, NAMES, strict=False):
        client.rename(player, name)
    report_at = time.monotonic()
    while True:
        players.board = client.board()
        if time.monotonic() >= report_at:
            leader, score = players.board[0] if players.board else ("nobody", 0)
            print(f"{client.accepted} updates accepted, {leader} leads with {score}", flush=True)
            report_at += REPORT_SECONDS
        for player, increment, pause in players.moves(time.monotonic()):
            client.add(player, increment)
            time.sleep(pause)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
    django.setup()
    with contextlib.suppress(KeyboardInterrupt):
        play(Client(int(os.environ["PORT"])), Field(random.Random()))


if __name__ == "__main__":
    main()

"""The journal of the writers: each update is on disk before it is sent, then each answer.

A journal is a file of JSON lines, synced one by one, so that it holds even when the writer is killed:

    {"key": …, "player": …, "increment": …, "at": …}                      about to be sent
    {"key": …, "status": …, "new_score": …, "began": …, "ended": …, …}     an answer, or none (status 0)
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: Sums of increments that are tried before a wrong score stays unexplained.
_MOST_SUMS = 50_000


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """One answer to one request; times are of time.monotonic (s). Status 0: the connection broke."""

    status: int
    new_score: int | None = None
    retry_after: int | None = None
    began: float = 0.0
    ended: float = 0.0
    server: str = ""
    code: str = ""

    @property
    def settled(self) -> bool:
        """Whether this answer is final for its key: no 429, 503 or broken connection."""
        return self.status not in (0, 429, 503)

    @property
    def accepted(self) -> bool:
        return self.status == 200


@dataclasses.dataclass(slots=True)
class Attempt:
    """One update as its writer sees it, with the answers to all its requests."""

    key: str
    player: str
    increment: int
    at: float
    replies: list[Reply] = dataclasses.field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        return any(reply.accepted for reply in self.replies)

    @property
    def acknowledged_at(self) -> float | None:
        return min((reply.ended for reply in self.replies if reply.accepted), default=None)

    def __str__(self) -> str:
        return f"update {self.key} of {self.player} (+{self.increment})"


class Journal:
    """Appends to a file, from any thread. `attempts` is what is in it, by key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.attempts: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)

    def begin(self, attempt: Attempt) -> None:
        """Take down an update before it is sent for the first time; ValueError when its key is not new."""
        with self._lock:
            if attempt.key in self.attempts:
                raise ValueError(f"{attempt} is in the journal already")
            self.attempts[attempt.key] = attempt
        fields = {"key": attempt.key, "player": attempt.player}
        self._write({**fields, "increment": attempt.increment, "at": attempt.at})

    def answered(self, attempt: Attempt, reply: Reply) -> None:
        """Take down the answer to one request."""
        attempt.replies.append(reply)
        self._write({"key": attempt.key, **dataclasses.asdict(reply)})

    def close(self) -> None:
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        # One write is one whole line even with several writers; syncing needs no lock.
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        os.fsync(self._file.fileno())


def read(path: Path) -> list[Attempt]:
    """The attempts in a journal, in the order of their beginning; a torn last line is left out."""
    attempts: dict[str, Attempt] = {}
    for line in path.read_bytes().splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        key = fields.pop("key")
        if "status" in fields:
            attempts[key].replies.append(Reply(**fields))
        else:
            attempts[key] = Attempt(key, **fields)
    return list(attempts.values())


def lost_and_doubled(attempts: Iterable[Attempt], gained: dict[str, int]) -> tuple[int, int, list[str]]:
    """(updates lost, updates doubled, which) by the points alone, for a store that has no ledger.

    `gained` is what each player's score rose by. Increments must be distinct for each player, so that a
    wrong sum names the update. An update without an acknowledgement may count once or not at all.
    """
    lost = doubled = 0
    culprits: list[str] = []
    by_player: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_player.setdefault(attempt.player, []).append(attempt)
    for player, tried in by_player.items():
        acknowledged = [a for a in tried if a.acknowledged]
        least = sum(a.increment for a in acknowledged)
        most = sum(a.increment for a in tried)
        score = gained.get(player, 0)
        if score < least:
            found = _summing_to(acknowledged, least - score)
            lost += max(1, len(found))
            culprits += [f"lost: {a}" for a in found] or [f"lost: {least - score} points of {player}"]
        elif score > most:
            found = _summing_to(tried, score - most)
            doubled += max(1, len(found))
            culprits += [f"doubled: {a}" for a in found] or [f"doubled: {score - most} points of {player}"]
    return lost, doubled, culprits


def _summing_to(attempts: list[Attempt], points: int) -> list[Attempt]:
    """The fewest updates whose increments make up `points`, as far as they can be told; else none."""
    reached: dict[int, list[Attempt]] = {0: []}
    for attempt in attempts:
        if len(reached) > _MOST_SUMS:
            break
        for total, chosen in list(reached.items()):
            new = total + attempt.increment
            if new <= points and (new not in reached or len(reached[new]) > len(chosen) + 1):
                reached[new] = [*chosen, attempt]
    return reached.get(points, [])

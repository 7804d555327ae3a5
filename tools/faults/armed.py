"""The product's processes with fail points. The product itself has none: they exist only in here.

    python -m tools.faults.armed serve --port 8000     the web process
    python -m tools.faults.armed moderate              moderation, a JSON line for each action

While the file FAIL_POINT_FILE holds the name of a point, the first update (or moderation) that comes to
that point removes the file, and the process kills itself with SIGKILL. With a second line, the id of a
player, it must be one of that player; that works at the points around the write.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEFORE_WRITE = "before the write"
AFTER_WRITE = "after the write"
AFTER_MERGE = "after the merge"
AFTER_BROADCAST = "after the broadcast"
BEFORE_REPLY = "before the reply"
AFTER_REPLY = "after the reply"
POINTS = (BEFORE_WRITE, AFTER_WRITE, AFTER_MERGE, AFTER_BROADCAST, BEFORE_REPLY, AFTER_REPLY)

_file = Path(os.environ.get("FAIL_POINT_FILE", "/nonexistent"))
_wrote = contextvars.ContextVar("wrote", default=False)
_written = threading.Event()


def pass_by(point: str, player: str = "") -> None:
    """Come to a point: the end, if it is armed."""
    if _is_armed(point, player):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def _is_armed(point: str, player: str = "") -> bool:
    try:
        armed_point, _, armed_player = _file.read_text().partition("\n")
        if armed_point != point or armed_player not in ("", player):
            return False
        _file.unlink()
    except FileNotFoundError:  # not armed, or another thread was there first
        return False
    return True


def arm() -> None:
    """Put the points in place. Needs Django to be set up."""
    from realtime.hub.broadcaster import Broadcaster
    from scores.board import merging
    from scores.board.scoreboard import Scoreboard
    from scores.rules.commits import Commit
    from scores.stores.players import PlayerTable

    commit, announce, publish = PlayerTable.commit, merging.announce, Broadcaster.publish

    @functools.wraps(commit)
    def armed_commit(players: PlayerTable, write: Commit, *, floor: int) -> None:
        pass_by(BEFORE_WRITE, write.entry.user_id)
        commit(players, write, floor=floor)
        pass_by(AFTER_WRITE, write.entry.user_id)
        _wrote.set(True)
        _written.set()

    @functools.wraps(announce)
    def armed_announce(scoreboard: Scoreboard, revision: int | None) -> None:
        if _wrote.get():  # not the reconciler's
            _wrote.set(False)
            pass_by(AFTER_MERGE)
        announce(scoreboard, revision)

    @functools.wraps(publish)
    async def armed_publish(broadcaster: Broadcaster, revision: int) -> None:
        await publish(broadcaster, revision)
        if _written.is_set():
            pass_by(AFTER_BROADCAST)

    setattr(PlayerTable, "commit", armed_commit)  # noqa: B010 - mypy
    merging.announce = armed_announce
    setattr(Broadcaster, "publish", armed_publish)  # noqa: B010 - mypy


class AtTheReply:
    """ASGI layer with the points at an accepted update's answer."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.live = application.live

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/score/update":
            await self._application(scope, receive, send)
            return
        accepted = False

        async def armed_send(message: Any) -> None:
            nonlocal accepted
            if message["type"] == "http.response.start":
                accepted = message["status"] == 200
            if accepted and message["type"] == "http.response.start":
                pass_by(BEFORE_REPLY)
            await send(message)
            if accepted and message["type"] == "http.response.body" and _is_armed(AFTER_REPLY):
                # It leaves the process with a later turn of the event loop.
                await asyncio.sleep(0.05)
                os.kill(os.getpid(), signal.SIGKILL)

        await self._application(scope, receive, armed_send)


def moderate(player: str, action: str, entry_id: str, amount: int, until: int | None) -> dict[str, Any]:
    """One action on the player as it is now; {"version"} or {"error"}."""
    from scores.board.scoreboard import get_scoreboard
    from scores.moderation import moderating
    from scores.rules.actions import Action
    from scores.rules.errors import ScoreboardError

    try:
        after = moderating.moderate(
            get_scoreboard(),
            user_id=player,
            action=Action(action),
            actor="moderator",
            reason="a fault test",
            expected_version=get_scoreboard().players.read(player).version,
            entry_id=entry_id,
            amount=amount,
            until=until,
        )
    except ScoreboardError as error:
        return {"error": error.code}
    return {"version": after.version}


def _moderate_lines() -> None:
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(moderate(**json.loads(line))), flush=True)


def _serve(arguments: list[str]) -> None:
    from django.core.management import execute_from_command_line

    from scoreboard_site import asgi
    from scores.identity import keyset

    if "KEYS_REFETCH_S" in os.environ:  # so that a test need not wait for half a minute
        keyset.REFETCH_S = float(os.environ["KEYS_REFETCH_S"])
    asgi.application = AtTheReply(asgi.application)  # type: ignore[assignment]
    execute_from_command_line(["manage.py", "serve", *arguments])


def main(arguments: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
    import django

    django.setup()
    arm()
    work: Callable[[], None] = _moderate_lines
    if arguments[0] == "serve":
        work = functools.partial(_serve, arguments[1:])
    work()


if __name__ == "__main__":
    main(sys.argv[1:])

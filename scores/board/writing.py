"""Drives the write protocol against the stores, one write at a time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scores import concurrency
from scores.board.scoreboard import Scoreboard
from scores.board.write_protocol import Change, ReadEntry, ReadPlayer, Reply, Settled, Step, Wait, settle
from scores.rules.commits import Commit, CommitFailed, Contended, PlayerMoved
from scores.rules.errors import OutcomeUnknown, ScoreboardError
from scores.rules.players import Player
from scores.stores import ledger
from scores.stores.tables import READ_TIMEOUT_S
from scores.telemetry import metrics

#: All tries of one write end within this time (s).
DEADLINE_S = 2.0


def write(
    scoreboard: Scoreboard,
    change: Change,
    *,
    floor: Callable[[], int],
    known: Player | None = None,
    certain: bool = False,
    deadline: float,
) -> Settled:
    """Settle one change of a player by `deadline` (time.monotonic), in the calling thread.

    `floor` is asked before each commit. Raises what write_protocol.settle raises.
    """
    steps = settle(
        change,
        known=known,
        certain=certain,
        deadline=deadline,
        call_s=READ_TIMEOUT_S,
        clock=time.monotonic,
        now_ms=scoreboard.now_ms,
    )

    def do(step: Step) -> Reply:
        match step:
            case ReadPlayer():
                return scoreboard.players.read(change.user_id)
            case ReadEntry():
                return ledger.read_entry(change.user_id, change.entry_id)
            case Commit():
                scoreboard.players.commit(step, floor=floor())
            case Wait():
                pause(step.seconds)
        return None

    reply: Reply = None
    failure: CommitFailed | ScoreboardError | None = None
    while True:
        try:
            step = steps.throw(failure) if failure else steps.send(reply)
        except StopIteration as end:
            settled: Settled = end.value
            if settled.player is None:
                scoreboard.unmerged.add([change.user_id])
            return settled
        except OutcomeUnknown:
            scoreboard.unmerged.add([change.user_id])  # a commit may have landed, or may still land
            raise
        reply = failure = None
        try:
            reply = do(step)
        except (CommitFailed, ScoreboardError) as error:
            failure = error
            if isinstance(error, PlayerMoved | Contended):
                metrics.record(metrics.LEDGER_CONFLICTS)


@contextmanager
def one_at_a_time(scoreboard: Scoreboard, user_id: str) -> Iterator[float]:
    """The only writer of this process at this player; yields the write's deadline (time.monotonic).

    Raises Conflict when another writer keeps the player for half of DEADLINE_S.
    """
    deadline = time.monotonic() + DEADLINE_S
    with scoreboard.player_locks.hold(user_id, DEADLINE_S / 2):
        yield deadline


def pause(seconds: float) -> None:
    """Sleep for about `seconds`, with jitter, and let another request compute meanwhile."""
    with concurrency.blocking():
        time.sleep(random.uniform(seconds / 2, seconds))

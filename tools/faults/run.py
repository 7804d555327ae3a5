"""One scenario, from a healed state to the next healed state, and its result."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from tools.faults.checks import checker
from tools.faults.checks.evidence import Evidence, Limits, Moderated, Violation, doubled, lost
from tools.faults.checks.result import Result, unavailable_s
from tools.faults.checks.truth import Rows, Truth
from tools.faults.checks.watch import Resources, Watch, resources
from tools.faults.proxies.tcp import wait_until
from tools.faults.stage import MODERATED, PLAYERS, Moderator, Stage
from tools.faults.traffic.journal import Attempt, Journal, Reply
from tools.faults.traffic.viewers import Page
from tools.faults.traffic.writers import HttpSender, Increments, Writers

#: How long a board may take before it is given up (s): longer than allowed, so that the table says how long.
PATIENCE_S = 15.0
#: A crowd is there after this time (s). All in the same moment keep each other waiting in our own process.
ARRIVING_S = 1.0
#: Rows of a full board.
BOARD_ROWS = 10
_numbers = itertools.count(1)


class Run:
    """A scenario under way: writers write and everything is watched from `start` to `finish`."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        title: str,
        *,
        seed: int = 1,
        threads: int = 8,
        pace: float = 60.0,
        scale: float = 1.0,
        limits: Limits | None = None,
        with_moderated: bool = False,
        watch_every_s: float = 0.25,
    ) -> None:
        self.stage = stage
        self.name = name
        self.seed = seed
        self.actions: list[Moderated] = []
        self.notes: list[str] = []
        self.resources_before: list[Resources] = []
        self.expected: list[Violation] = []
        self.pages: list[Page] = list(stage.pages)
        self._title = title
        self._threads, self._pace = threads, pace
        self._scale = scale
        self._with_moderated = with_moderated
        self._watch_every_s = watch_every_s
        self._limits = limits or Limits()
        self._healed_at = 0.0
        self._healed_rows: Rows = ()
        self._own = 0
        self._all_accepted = False
        self._closing: list[Callable[[], None]] = []

    # --- For the scenarios -------------------------------------------------------------------------

    def last(self, seconds: float) -> None:
        """Let the fault last. `seconds` are of the whole suite; the fast one takes a part of it."""
        time.sleep(self.seconds(seconds))

    def seconds(self, seconds: float) -> float:
        return max(min(seconds, 2.0), seconds * self._scale)

    def expect(self, condition: bool, what: str, *, timed: bool = False) -> None:
        """Note a violation of this scenario's own expectation; `timed`: a busy machine may break it."""
        if not condition:
            self.expected.append(Violation(self.name, what, timed))

    def spare_memory(self, mib: float) -> None:
        """Allow each server this much more memory at the end: what Python has once taken it may keep."""
        self.resources_before = [
            dataclasses.replace(each, memory_mib=each.memory_mib + mib) for each in self.resources_before
        ]

    def closing(self, close: Callable[[], None]) -> None:
        """Call this when the scenario is over."""
        self._closing.append(close)

    def expect_all_accepted(self) -> None:
        """Every update must be accepted in the end."""
        self._all_accepted = True

    def note(self, text: str) -> None:
        """Something worth a line below the table."""
        self.notes.append(text)

    def acknowledged(self) -> int:
        return sum(attempt.acknowledged for attempt in list(self.journal.attempts.values()))

    def wait_for_updates(self, count: int = 1, seconds: float = 15.0) -> None:
        """Until `count` more updates have been acknowledged."""
        had = self.acknowledged()
        wait_until(lambda: self.acknowledged() >= had + count, seconds, f"{count} more updates are accepted")

    def statuses(self, since: float) -> dict[int, int]:
        """How many answers of each status came since then (time.monotonic)."""
        return dict(Counter(reply.status for reply in self._replies(since)))

    def refused(self, since: float) -> list[float]:
        """The time (s) of each refusal without a try, since then (time.monotonic)."""
        replies = (reply for reply in self._replies(since) if reply.code in checker.AT_THE_DOOR)
        return [reply.ended - reply.began for reply in replies]

    def _replies(self, since: float) -> Iterator[Reply]:
        for attempt in list(self.journal.attempts.values()):
            yield from (reply for reply in list(attempt.replies) if reply.ended >= since)

    def update(self, player: str, increment: int, *, start: int = 0) -> Attempt:
        """One update until it is settled, beginning at server `start`."""
        attempt = self.attempt(player, increment)
        self.settle(attempt, start=start)
        return attempt

    def settle(self, attempt: Attempt, *, start: int = 0) -> None:
        """Send an update until it is settled, beginning at server `start`."""
        send = self.send(start)
        self.writers.settle(send, attempt)
        send.close()

    def send_once(self, attempt: Attempt, *, start: int = 0) -> Reply:
        """Send an update to server `start`, and leave it at that."""
        send = self.send(start)
        reply = send(attempt)
        send.close()
        self.journal.answered(attempt, reply)
        return reply

    def attempt(self, player: str, increment: int) -> Attempt:
        """An update in the journal, not yet sent."""
        self._own += 1
        attempt = Attempt(f"{self.key}-own-{self._own}", player, increment, time.monotonic())
        self.journal.begin(attempt)
        return attempt

    @contextmanager
    def crowd(self, threads: int) -> Iterator[None]:
        """More writers, as fast as they go, for a while."""
        increments = itertools.count()
        number = next(_numbers)
        crowd = Writers(
            self.send,
            self.journal,
            lambda dice: (f"crowd-{dice.randrange(40):02}", 1 + next(increments) % 1000),
            threads=threads,
            arriving_s=ARRIVING_S,
            again=0,
            seed=number,
            name=f"{self.key}-crowd-{number}",
        ).start()
        try:
            yield
        finally:
            crowd.stop()

    def send(self, start: int = 0) -> HttpSender:
        """A sender of one's own, which begins at server `start`."""
        return HttpSender(self.stage.ports, self.token, start=start)

    def moderate(
        self, moderator: Moderator, player: str, action: str, amount: int = 0, *, killed: bool = False
    ) -> None:
        """One action, answered unless the moderator gets `killed` on the way."""
        done = self.stage.moderate(moderator, player, action, amount)
        self.actions.append(done)
        answered = done.answered_at is not None
        self.expect(answered is not killed, f"{action} of {player} was {'' if answered else 'not '}answered")

    @contextmanager
    def moderating(self) -> Iterator[Moderator]:
        moderator = self.stage.moderator().start()
        try:
            yield moderator
        finally:
            moderator.kill()

    # --- The course of it --------------------------------------------------------------------------

    def start(self, before: Truth | None = None) -> Run:
        self.began = time.monotonic()
        self.token = self.stage.token()
        self.before = before or self.stage.tables.read()
        self.stage.log.clear()
        for page in self.pages:
            page.forget()
        self.resources_before = self.resources_now()
        self.keys_before = self.stage.ranking.key_count()
        self.key = f"{self.name}-{next(_numbers)}"
        self.journal = Journal(self.stage.folder / f"{self.key}.journal")
        self.watch = Watch(
            [web.part for web in self.stage.webs], self.stage.tables, PLAYERS, every_s=self._watch_every_s
        )
        self.writers = Writers(
            lambda n: HttpSender(self.stage.ports, self.token, start=n),
            self.journal,
            Increments(PLAYERS + MODERATED if self._with_moderated else PLAYERS),
            threads=self._threads,
            pace=self._pace,
            seed=self.seed,
            name=self.key,
        ).start()
        self.wait_for_updates(10)
        return self

    def healed(self) -> None:
        """Everything works again from here on, or did so before."""
        self.stage.heal()
        if not self._healed_at:
            self.mark_healed()

    def mark_healed(self) -> None:
        """The fault is over: how long does it take until every page is right?"""
        self._healed_at = time.monotonic()
        self._healed_rows = self.stage.tables.rows()

    def finish(self) -> Result:
        """Stop the writers, wait for the boards, check the invariants."""
        self.writers.stop()
        stopped_at = time.monotonic()
        attempts = list(self.journal.attempts.values())
        if self._all_accepted:
            refused = [str(attempt) for attempt in attempts if not attempt.acknowledged]
            self.expect(not refused, f"every update is accepted in the end, but not {refused}")
        ranking_after_s, pages_after_s = self._converge(max(self._healed_at, _last_of(attempts)))
        after = self.stage.tables.read()
        self.watch.stop()
        memory_mib = max((each.memory_mib for each in self.watch.resources), default=0.0)
        evidence = Evidence(
            before=self.before,
            after=after,
            attempts=attempts,
            ranking=self.stage.ranking.rows(self.stage.generation),
            ranking_after_s=ranking_after_s,
            pages=self.pages,
            pages_after_s=pages_after_s,
            caught_up_s={page.name: self._caught_up_s(page) for page in self.pages},
            reads=self.watch.reads,
            probes=self.watch.probes,
            actions=self.actions,
            log=list(self.stage.log),
            resources=self.watch.resources,
            resources_before=self.resources_before,
            resources_after=self._settled_resources(),
            late_s=self.watch.late_s,
            keys_before=self.keys_before,
            keys_after=self.stage.ranking.key_count(),
            limits=self._limits,
        )
        if evidence.late_s > checker.REFUSED_S:
            self.note(f"a busy machine: our own clock was up to {evidence.late_s * 1000:.0f} ms late")
        seconds = [s for s in evidence.caught_up_s.values() if s is not None]
        answers = [reply.status for attempt in attempts for reply in attempt.replies if reply.status]
        return Result(
            self.name,
            self._title,
            len(attempts),
            sum(attempt.acknowledged for attempt in attempts),
            sum(1 for _ in evidence.updates()),
            len(lost(evidence)),
            doubled(evidence),
            unavailable_s(attempts, self.began, stopped_at),
            median(seconds) if seconds else None,
            max(seconds) if len(seconds) == len(self.pages) else None,
            memory_mib,
            answers.count(503) / len(answers) if answers else 0.0,
            time.monotonic() - self.began,
            checker.check(evidence) + self.expected,
            self.notes,
        )

    def close(self) -> None:
        """End whatever still runs, also after a failure."""
        self.stage.heal()
        self.writers.stop()
        self.watch.stop()
        self.journal.close()
        while self._closing:
            self._closing.pop()()
        (self.stage.folder / f"{self.key}.log").write_text("\n".join(self.stage.log))

    def _converge(self, since: float) -> tuple[float | None, dict[str, float | None]]:
        """How long after `since` the ranking and each page had the board of the table.

        The players only are read for this: reading the whole ledger would count as time of the ranking.
        """
        ranking_at: float | None = None
        deadline = time.monotonic() + PATIENCE_S
        while True:
            truth = self.stage.tables.rows()
            if self.stage.ranking.rows(self.stage.generation) != truth:
                ranking_at = None
            elif ranking_at is None:
                ranking_at = time.monotonic()
            right = ranking_at is not None and all(page.rows == truth for page in self.pages)
            if right or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        pages = {page.name: _seconds(_right_since(page, truth), since) for page in self.pages}
        return _seconds(ranking_at, since), pages

    def _caught_up_s(self, page: Page) -> float | None:
        """How long after the healing the page had all that the table had then.

        Scores have only grown since: each of these players is on the board with that score at least, or ten
        others with as much.
        """
        boards = list(page.boards)
        old = sum(seen.at < self._healed_at for seen in boards)
        for seen in boards[max(0, old - 1) :]:  # from the one that was shown at the healing
            shown = {user_id: score for user_id, _, score in seen.rows}
            full = len(seen.rows) == BOARD_ROWS
            enough = seen.rows[-1][2] if full else -1
            if all(
                shown.get(user_id, -1) >= score or enough >= score for user_id, _, score in self._healed_rows
            ):
                return max(0.0, seen.at - self._healed_at)
        return None

    def resources_now(self) -> list[Resources]:
        found = [resources(web.part) for web in self.stage.webs]
        return [each for each in found if each is not None]

    def _settled_resources(self) -> list[Resources]:
        """The resources of the servers at rest."""
        before = {each.pid: each for each in self.resources_before}

        def at_rest() -> bool:
            return all(
                each.threads <= before[each.pid].threads + 2 and each.files <= before[each.pid].files + 8
                for each in self.resources_now()
                if each.pid in before
            )

        try:
            wait_until(at_rest, 2.0, "at rest")
        except TimeoutError:
            pass
        return self.resources_now()


def perform(run: Run, work: Callable[[Run], None]) -> Result:
    """A whole scenario: `work` under load, then healing, a little more load, and the check."""
    run.start()
    try:
        work(run)
        run.healed()
        run.wait_for_updates(10, 20.0)
        return run.finish()
    finally:
        run.close()


def _last_of(attempts: list[Attempt]) -> float:
    return max((at for a in attempts if (at := a.acknowledged_at) is not None), default=0.0)


def _right_since(page: Page, truth: Rows) -> float | None:
    boards = list(page.boards)
    if not boards or boards[-1].rows != truth:
        return None
    at = boards[-1].at
    for seen in reversed(boards):
        if seen.rows != truth:
            break
        at = seen.at
    return at


def _seconds(at: float | None, since: float) -> float | None:
    return None if at is None else max(0.0, at - since)

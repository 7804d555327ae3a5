"""Keeps parts running: starts a dead part again, gives up when it dies too often, stops all in order."""

import time
from collections import deque
from collections.abc import Callable

from tools.devstack.errors import StackError
from tools.devstack.processes import children
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import is_free

TICK_SECONDS = 0.2
MOST_DEATHS = 6
WITHIN_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 8.0


class Watched:
    """One part and the times of its deaths."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.deaths: deque[float] = deque(maxlen=MOST_DEATHS)
        self.due: float | None = None
        self.recovering = False

    def pause(self) -> float:
        """Seconds to wait before the next start: 0.5, 1, 2 … with each death within a minute."""
        recent = sum(1 for at in self.deaths if at > self.deaths[-1] - WITHIN_SECONDS)
        return min(0.5 * 2.0 ** (recent - 1), LONGEST_PAUSE_SECONDS)

    def hopeless(self) -> bool:
        return len(self.deaths) == MOST_DEATHS and self.deaths[-1] - self.deaths[0] < WITHIN_SECONDS


class Supervisor:
    """Parts; the last one is stopped first. `tell` gets the messages."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._watched: list[Watched] = []

    def start(self, part: Part, stop_after: Part | None = None) -> None:
        """Start a part (not waiting until it answers) and keep it running from now on.

        It is stopped before those that were started earlier, or right after `stop_after`.
        """
        parts = [watched.part for watched in self._watched]
        place = parts.index(stop_after) if stop_after else len(parts)
        self._watched.insert(place, Watched(part))
        part.start()

    def watch(self, *checks: Callable[[], None]) -> None:
        """Keep the parts running until a check, called at every tick, raises; StackError: one is lost."""
        while True:
            self.tick()
            for check in checks:
                check()
            time.sleep(TICK_SECONDS)

    def tick(self) -> None:
        """Check each part once."""
        if children.guard.check():
            self._tell("the guard of the parts had died and was started again")
        for watched in self._watched:
            self._look_after(watched)

    def stop(self) -> None:
        """Stop all parts, the newest first, and kill what is left."""
        for watched in reversed(self._watched):
            if watched.part.running:
                self._tell(f"stopping {watched.part.name}")
            watched.part.stop()
        children.guard.close()

    def _look_after(self, watched: Watched) -> None:
        part, now = watched.part, time.monotonic()
        if watched.due is not None:
            if now >= watched.due:
                if part.port and not is_free(part.port):
                    raise StackError(f"{part.title} cannot start again: its port is taken by another program")
                watched.due, watched.recovering = None, True
                part.start()
        elif not part.running:
            self._note_death(watched, now)
        elif watched.recovering and part.ready():
            watched.recovering = False
            self._tell(f"{part.title} is back, process {part.pid}")

    def _note_death(self, watched: Watched, now: float) -> None:
        part = watched.part
        part.reap()
        watched.deaths.append(now)
        if watched.hopeless():
            raise StackError(
                f"{part.title} died {MOST_DEATHS} times within a minute, the last time: {part.death()}"
            )
        watched.due = now + watched.pause()
        self._tell(f"{part.title} died ({part.death()}), starting it again in {watched.pause():g} s")

"""The limits that every viewer keeps, whichever server holds its socket: one waiting board, few messages."""

from __future__ import annotations

from realtime.hub.audience import Frame

#: A viewer may be behind for this long (s).
BEHIND_S = 30.0
#: A client may send this many frames, or pieces of frames, in RATE_WINDOW_S seconds.
RATE_MAX = 100
RATE_WINDOW_S = 10.0


class LimitedViewer:
    """Base of the viewers. Times are the event loop's, in s.

    A viewer is *behind* while something that was sent has not been taken. One board waits meanwhile, and a
    newer one replaces it, so the memory of a viewer is constant.
    """

    _slot: Frame | None = None
    _behind_since: float | None = None
    _received = 0
    _received_since = 0.0

    @property
    def behind(self) -> bool:
        return self._behind_since is not None

    def behind_too_long(self, now: float) -> bool:
        return self._behind_since is not None and now - self._behind_since > BEHIND_S

    def take_slot(self) -> Frame | None:
        """The board that waits, which then waits no more."""
        frame, self._slot = self._slot, None
        return frame

    def receives_too_much(self, now: float) -> bool:
        """Count one frame or piece of a frame; whether that is more than the rate allows."""
        if now - self._received_since > RATE_WINDOW_S:
            self._received_since, self._received = now, 0
        self._received += 1
        return self._received > RATE_MAX

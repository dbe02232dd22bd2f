"""The clock of one fake: real (wall time plus an offset) or manual (stands still until told), and its timers.

The only module that reads the time. A timer fires when the clock reaches its instant, whether by itself or because
somebody advances it, and always in due order.
"""

from __future__ import annotations

import asyncio
import time
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Mode = Literal["real", "manual", "auto"]

_SECOND = 1_000_000_000
_MILLISECOND = 1_000_000


#: The last instant that RFC 3339's four-digit years can write (ns).
END_OF_TIME = 253_402_300_800 * _SECOND - 1


class TimeWentBackError(ValueError):
    """The clock was asked to go back. Time never does: reset the fake, or start one at an earlier time."""


class EndOfTimeError(ValueError):
    """The clock was asked to go beyond :data:`END_OF_TIME`."""


def stopwatch() -> int:
    """Real nanoseconds since an arbitrary beginning: for how long something took, never for when it was."""
    return time.perf_counter_ns()


class Timer:
    """One call that the clock owes; :meth:`cancel` takes it back."""

    __slots__ = ("callback", "when")

    def __init__(self, when: int, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Never fire. Harmless when it has fired already."""
        self.callback = None


class Clock:
    """Time as an ``int`` of nanoseconds since the epoch; ``start`` is where it stands, or begins to run."""

    def __init__(self, mode: Literal["real", "manual"] = "real", *, start: int | None = None) -> None:
        self._offset = 0 if start is None else start - time.time_ns()
        self._latest = 0
        self._frozen: int | None = None
        if mode == "manual":
            self._frozen = self.now() if start is None else start
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_loop: asyncio.AbstractEventLoop | None = None
        self._advancing = asyncio.Lock()

    @property
    def mode(self) -> Mode:
        """``real``, ``manual`` or ``auto``."""
        return "real" if self._frozen is None else "manual"

    def at(self, start: int) -> Clock:
        """A clock of the same mode that begins at another instant (ns)."""
        return Clock("manual" if self._frozen is not None else "real", start=start)

    def now(self) -> int:
        """The present instant (ns). It never goes back, even when the machine's wall clock does, nor over the end."""
        if self._frozen is not None:
            return self._frozen
        self._latest = min(END_OF_TIME, max(self._latest, time.time_ns() + self._offset))
        return self._latest

    @staticmethod
    def wall() -> int:
        """The machine's own time (ns), for a person to set beside the clock's."""
        return time.time_ns()

    def freeze(self) -> None:
        """Become manual, and stand still at the present instant."""
        self._frozen = self.now()
        self._disarm()

    def thaw(self) -> None:
        """Become real, and go on from the present instant."""
        self._latest = now = self.now()
        self._offset = now - time.time_ns()
        self._frozen = None
        self._arm()

    def call_at(self, when: int, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` when the clock reaches ``when`` (ns)."""
        self._next_when()  # drops what was cancelled: on a clock that nobody advances, nothing else would
        timer = Timer(when, callback)
        heappush(self._timers, (when, next(self._order), timer))
        if self._frozen is None and (self._timers[0][2] is timer or self._alarm_loop is not asyncio.get_running_loop()):
            self._arm()
        return timer

    async def advance(
        self, settle: Callable[[], Awaitable[None]], *, to: int | None = None, by: int = 0, mode: Mode | None = None
    ) -> int:
        """Move on ``to`` an instant or ``by`` a duration (ns), through every timer that falls due, in due order.

        ``settle`` is awaited first, and after each instant at which something fired: what that woke up finishes before
        time goes on. With a ``mode``, the clock is of that mode afterwards. Advances that meet take their turns, each
        as if it were alone. Returns how many timers fired.

        Raises :class:`TimeWentBackError` or :class:`EndOfTimeError`, and then has done nothing.
        """
        async with self._advancing:
            goal = self._goal(to, by)
            if mode == "manual":
                self.freeze()
            try:
                await settle()
                fired = 0
                while (when := self._next_when()) is not None and when <= goal:
                    self._move(when)
                    fired += self._fire_due()
                    await settle()
                self._move(goal)
            finally:
                if mode == "real":
                    self.thaw()
                self._arm()
            return fired

    def _goal(self, to: int | None, by: int) -> int:
        now = self.now()
        goal = now + by if to is None else to
        if goal < now:
            raise TimeWentBackError
        if goal > END_OF_TIME:
            raise EndOfTimeError
        return goal

    def _move(self, to: int) -> None:
        """Be at ``to``, or stay where the clock is beyond it: a real one runs while others settle."""
        ahead = max(0, to - self.now())
        if self._frozen is None:
            self._offset += ahead
        else:
            self._frozen += ahead

    def _next_when(self) -> int | None:
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _fire_due(self) -> int:
        now = self.now()
        fired = 0
        while (when := self._next_when()) is not None and when <= now:
            timer = heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                fired += 1
                callback()
        return fired

    def _arm(self) -> None:
        """Let the event loop wake a real clock up at its next timer."""
        self._disarm()
        when = self._next_when()
        if self._frozen is not None or when is None:
            return
        self._alarm_loop = asyncio.get_running_loop()
        # In whole milliseconds, upwards: uvloop cuts the rest off, would wake early, and be told so again and again.
        milliseconds = max(1, -(-(when - self.now()) // _MILLISECOND))
        self._alarm = self._alarm_loop.call_later(milliseconds / 1000, self._wake)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _wake(self) -> None:
        self._alarm = None
        try:
            self._fire_due()
        finally:
            self._arm()

"""The real clock and the manual clock: one clock in two modes, because the mode may change while timers wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .clock import END_OF_TIME, Clock, FollowsItsLoopError, Mode, is_frozen, no_context, stopwatch

_MILLISECOND = 1_000_000
#: How many timers fire in one turn of the event loop: each may be a claim. A request waits for two or three turns.
_AT_ONCE = 50


class WallClock(Clock):
    """The machine's time plus an offset (real), or an instant that stands still until it is advanced (manual)."""

    def __init__(self, mode: Mode = "real", *, start: int | None = None) -> None:
        """`start` is the instant at which it stands, or starts to run; the default is the machine's time."""
        super().__init__()
        #: The machine's time at which the stopwatch was 0.
        self._zero = self.wall() - stopwatch()
        self._offset = 0 if start is None else start - self._machine_time()
        #: The instant at which a manual clock stands, None for a real one.
        self._stands_at: int | None = None
        if mode == "manual":
            self._stands_at = self.now() if start is None else start
        #: The event loop and the instant for which the alarm is set.
        self._armed_for: tuple[asyncio.AbstractEventLoop, int] | None = None
        #: While timers fire, each sets the next one: the alarm is set once, when all have.
        self._is_firing = False
        self._advancing = asyncio.Lock()

    @property
    def mode(self) -> Mode:
        """`real` or `manual`."""
        return "real" if self._stands_at is None else "manual"

    def set_mode(self, mode: Mode) -> None:
        """Start to run, or stand still, at the present instant."""
        if mode == "auto":
            raise FollowsItsLoopError("only a fake that was made with an auto clock has one")
        now = self.now()
        self._offset = now - self._machine_time()
        self._stands_at = now if mode == "manual" else None
        self._rearm()

    def starting_at(self, start: int) -> Clock:
        """A new clock of the same mode that starts at another instant."""
        return WallClock(self.mode, start=start)

    def now(self) -> int:
        """The present instant. It never goes back, nor beyond the end of time."""
        if self._stands_at is not None:
            return self._stands_at
        now = self._machine_time() + self._offset
        return now if now < END_OF_TIME else END_OF_TIME  # noqa: FURB136 - each request asks, and `min` takes longer

    async def advance(
        self,
        wait_until_quiet: Callable[[], Awaitable[None]],
        *,
        to: int | None = None,
        by: int = 0,
        mode: Mode | None = None,
    ) -> int:
        """As `Clock.advance`: from timer to timer, and `wait_until_quiet` is awaited first and at each instant.

        Concurrent calls take turns, each as if it were alone.
        """
        async with self._advancing:
            goal = self._goal(to, by)
            # A clock that is to stand still does so during the jump already, one that is to run does so after it.
            if mode in ("manual", "auto"):
                self.set_mode(mode)
            try:
                await wait_until_quiet()
                fired = 0
                while (when := self._timers.next_due()) is not None and when <= goal:
                    self._move(when)
                    fired += self._timers.fire(self.now(), most=_AT_ONCE)
                    if self._timers.next_due() == when:
                        await asyncio.sleep(0)  # the rest of this instant comes first, but not in one turn
                    else:
                        await wait_until_quiet()
                self._move(goal)
            finally:
                if mode == "real":
                    self.set_mode(mode)
                self._rearm()
            return fired

    def _move(self, to: int) -> None:
        """Move to an instant. A real clock that is beyond it already, as it runs while others work, stays there."""
        ahead = max(0, to - self.now())
        if self._stands_at is None:
            self._offset += ahead
        else:
            self._stands_at += ahead

    def _machine_time(self) -> int:
        """The machine's time, which runs on here if a test sets the machine's clock back or freezes it."""
        elapsed = stopwatch()
        zero = self.wall() - elapsed
        if zero > self._zero:  # noqa: PLR1730 - as above
            self._zero = zero
        return self._zero + elapsed

    def _rearm(self) -> None:
        """Set the alarm again: the offset or the mode has changed."""
        self._disarm()
        self._armed_for = None
        self._arm()

    def _arm(self) -> None:
        """Set the alarm of the event loop to the next timer, if the clock runs and there is one."""
        if self._stands_at is not None or self._is_firing or (when := self._timers.next_due()) is None:
            return
        loop = asyncio.get_running_loop()
        if self._armed_for == (loop, when):
            return
        self._disarm()
        self._armed_for = loop, when
        # In whole milliseconds, rounded up: uvloop rounds down, would wake the clock early, and again each time.
        milliseconds = max(1, -(-(when - self.now()) // _MILLISECOND))
        if is_frozen():  # a test library has stopped the clock of the loop, so that its timers do not fire
            self._alarm = _ThreadAlarm(loop, milliseconds / 1000, self._wake)
        else:
            self._alarm = loop.call_later(milliseconds / 1000, self._wake, context=no_context())

    def _wake(self) -> None:
        """Fire what is due, at most `_AT_ONCE` timers, and set the alarm for the next. The alarm calls it."""
        self._alarm = self._armed_for = None
        self._is_firing = True
        try:
            self._timers.fire(self.now(), most=_AT_ONCE)
        finally:
            self._is_firing = False
            self._arm()


class _ThreadAlarm:
    """Calls `callback` in an event loop after so many seconds, for a loop whose own timers do not fire."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback: Callable[[], object] | None = callback
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Do not call."""
        self._callback = None
        self._timer.cancel()

    def _ring(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._call, context=no_context())

    def _call(self) -> None:
        if self._callback is not None:
            self._callback()

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

Mode = Literal["real", "manual"]

_NANOSECONDS = 1_000_000_000


class TimeWentBackError(ValueError):
    """The clock was asked to go back. Time never does: reset the fake, or start one at an earlier time."""


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
    """Time as an ``int`` of nanoseconds since the epoch."""

    def __init__(self, mode: Mode = "real", *, start: int | None = None) -> None:
        self._offset = 0 if start is None else start - time.time_ns()
        self._latest = 0
        self._frozen = self.now_of_wall() if mode == "manual" else None
        if mode == "manual" and start is not None:
            self._frozen = start
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_loop: asyncio.AbstractEventLoop | None = None
        self._advancing = asyncio.Lock()

    @property
    def mode(self) -> Mode:
        """``real`` or ``manual``."""
        return "real" if self._frozen is None else "manual"

    def now(self) -> int:
        """The present instant (ns). It never goes back, even when the machine's wall clock does."""
        return self._frozen if self._frozen is not None else self.now_of_wall()

    def now_of_wall(self) -> int:
        """The instant (ns) that the wall clock and the offset make."""
        self._latest = max(self._latest, time.time_ns() + self._offset)
        return self._latest

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
        timer = Timer(when, callback)
        heappush(self._timers, (when, next(self._order), timer))
        if self._frozen is None and self._timers[0][2] is timer:
            self._arm()
        return timer

    def jump(self, to: int) -> None:
        """Move on to ``to`` (ns) and fire nothing on the way. Raises :class:`TimeWentBackError`."""
        if to < self.now():
            raise TimeWentBackError
        if self._frozen is None:
            self._offset += to - self.now()
        else:
            self._frozen = to

    async def advance(self, to: int, settle: Callable[[], Awaitable[None]]) -> int:
        """Move on to ``to`` (ns), through every timer that falls due, in due order; returns how many fired.

        ``settle`` is awaited after each instant at which something fired: what that woke up finishes first.
        Raises :class:`TimeWentBackError`.
        """
        if to < self.now():
            raise TimeWentBackError
        async with self._advancing:
            await settle()
            fired = 0
            while (when := self._next_when()) is not None and when <= to:
                self.jump(max(when, self.now()))
                fired += self._fire_due()
                await settle()
            self.jump(max(to, self.now()))
            self._arm()
            return fired

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
        self._alarm = self._alarm_loop.call_later(max(0, when - self.now()) / _NANOSECONDS, self._wake)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _wake(self) -> None:
        self._alarm = None
        self._fire_due()
        self._arm()

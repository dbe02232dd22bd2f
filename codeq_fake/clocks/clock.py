"""The clock of one fake: the present instant, and timers. The subclasses say where the time comes from.

All instants and durations are whole nanoseconds; instants count from the epoch.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from typing import Literal, Protocol

from .timers import Timer, TimerQueue

Mode = Literal["real", "manual", "auto"]

_SECOND = 1_000_000_000

#: The last instant that RFC 3339 can write, with years of four digits.
END_OF_TIME = 253_402_300_800 * _SECOND - 1


class TimeWentBackError(ValueError):
    """The clock was asked to go back. Time never does: reset the fake, or start one at an earlier time."""


class EndOfTimeError(ValueError):
    """The clock was asked to go beyond `END_OF_TIME`."""


class FollowsItsLoopError(RuntimeError):
    """An auto clock was asked for another mode, or used in an event loop whose time does not jump."""


#: Test libraries that freeze the time replace `time.monotonic` and `time.perf_counter`, but not these clocks. They also
#: run while the machine is suspended: CLOCK_BOOTTIME on Linux, CLOCK_MONOTONIC on macOS. Windows has neither.
_STOPWATCH: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


#: Real nanoseconds since an arbitrary start: for how long something took, not for when it was.
stopwatch = time.perf_counter_ns if _STOPWATCH is None else partial(time.clock_gettime_ns, _STOPWATCH)


def is_frozen() -> bool:
    """Whether a test library has stopped the clock of asyncio's event loops, so that their timers never fire."""
    first = time.monotonic()
    return time.monotonic() == first == time.monotonic()


class Alarm(Protocol):
    """A call that the event loop will make, such as an `asyncio.TimerHandle`."""

    def cancel(self) -> None:
        """Do not make it."""


class Clock(ABC):
    """The present instant, and timers that fire when it is reached, in due order."""

    #: Whether time jumps from one timer to the next: then each timer costs, and none passes by itself.
    jumps = False

    def __init__(self) -> None:
        self._timers = TimerQueue()
        self._alarm: Alarm | None = None

    @property
    @abstractmethod
    def mode(self) -> Mode:
        """`real`, `manual` or `auto`."""

    @abstractmethod
    def set_mode(self, mode: Mode) -> None:
        """Change to another mode, at the present instant. Raises FollowsItsLoopError."""

    @abstractmethod
    def starting_at(self, start: int) -> Clock:
        """A new clock of the same mode that starts at another instant."""

    @abstractmethod
    def now(self) -> int:
        """The present instant. It never goes back. Raises FollowsItsLoopError."""

    @abstractmethod
    async def advance(
        self,
        wait_until_quiet: Callable[[], Awaitable[None]],
        *,
        to: int | None = None,
        by: int = 0,
        mode: Mode | None = None,
    ) -> int:
        """Advance `to` an instant or `by` a duration, through all timers that fall due, and return how many fired.

        `wait_until_quiet` is awaited so that everything that a timer woke up can finish. With a `mode`, the clock has
        that mode afterwards. Raises TimeWentBackError, EndOfTimeError or FollowsItsLoopError, and then has done
        nothing.
        """

    @abstractmethod
    def _arm(self) -> None:
        """Have the event loop wake the clock at its next timer, if time passes without an `advance`."""

    @staticmethod
    def wall() -> int:
        """The machine's own time, for a person to compare with the clock."""
        return time.time_ns()

    def call_at(self, when: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` when the clock reaches `when`."""
        timer = self._timers.add(when, callback)
        self._arm()
        return timer

    def _goal(self, to: int | None, by: int) -> int:
        """The instant to advance to. Raises TimeWentBackError or EndOfTimeError."""
        now = self.now()
        goal = now + by if to is None else to
        if goal < now:
            raise TimeWentBackError
        if goal > END_OF_TIME:
            raise EndOfTimeError
        return goal

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def no_context() -> Context:
    """The context for an alarm: an empty one.

    An alarm would otherwise inherit the context of whichever request happened to set it. When that request belongs to
    a simulated host that is killed, the loop may drop everything of that context, and the clock would stop for all.
    """
    return Context()

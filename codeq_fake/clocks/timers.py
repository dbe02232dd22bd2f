"""Timers: calls that a clock makes when it reaches their instants."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Timer:
    """One call at an instant (ns). `callback` is None once the timer has fired or was cancelled."""

    __slots__ = ("callback", "when")

    def __init__(self, when: int, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Never fire. Does nothing if the timer has fired already."""
        self.callback = None


class TimerQueue:
    """Timers in due order. Timers of one instant fire in the order in which they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()

    def add(self, when: int, callback: Callable[[], object]) -> Timer:
        """Add a timer for the instant `when` (ns)."""
        if self._heap and self._heap[0][2].callback is None:
            self.next_due()  # removes cancelled timers: on a clock that stands still, nothing else would
        timer = Timer(when, callback)
        heappush(self._heap, (when, next(self._order), timer))
        return timer

    def __len__(self) -> int:
        """How many timers it holds, with those that are cancelled and not removed yet."""
        return len(self._heap)

    def next_due(self) -> int | None:
        """The instant of the next timer (ns), None without one."""
        while self._heap and self._heap[0][2].callback is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire(self, now: int, *, most: int = sys.maxsize) -> int:
        """Fire the timers that are due at `now`, but at most so many, and return how many.

        A callback that raises does not stop the others: the event loop's exception handler gets the error.
        """
        fired = 0
        while fired < most and (when := self.next_due()) is not None and when <= now:
            timer = heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                fired += 1
                try:
                    callback()
                except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop other clients' timers
                    asyncio.get_running_loop().call_exception_handler(
                        {"message": f"a timer of the fake's clock failed: {callback}", "exception": error}
                    )
        return fired

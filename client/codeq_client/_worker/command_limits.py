"""Limits by command: how many of its tasks a worker starts at once, and in a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping

from codeq_client._api.clock import Clock

from .handlers import Handler, Rate


class CommandLimits:
    """What the limits of a worker's handlers allow now. The keys of `handlers` are commands in lower case (C2).

    `running(command)` is the number of tasks of a command that are in work.
    """

    def __init__(self, handlers: Mapping[str, Handler], running: Callable[[str], int], clock: Clock) -> None:
        self._concurrency = {name: h.concurrency for name, h in handlers.items() if h.concurrency is not None}
        self._windows = {name: RateWindow(h.rate) for name, h in handlers.items() if h.rate is not None}
        self._held_off: dict[str, float] = {}
        """Until when a command is left to other workers."""
        self._running = running
        self._clock = clock

    def allowance(self, command: str) -> float:
        """Return how many tasks of the command may be started now; infinite without a limit."""
        name, now = command.lower(), self._clock.monotonic()
        if now < self._held_off.get(name, now):
            return 0
        free = self._concurrency[name] - self._running(name) if name in self._concurrency else math.inf
        window = self._windows.get(name)
        return max(0, min(free, window.allowance(now) if window else math.inf))

    def note_started(self, command: str) -> None:
        """Note that a task of the command is started."""
        if window := self._windows.get(command.lower()):
            window.note_started(self._clock.monotonic())

    def hold_off(self, command: str, seconds: float) -> None:
        """Leave the tasks of a command to other workers for this long."""
        self._held_off[command.lower()] = self._clock.monotonic() + seconds

    def until_allowed(self) -> float:
        """Return the seconds until a rate, or `hold_off`, allows a task again; infinite if none does."""
        now = self._clock.monotonic()
        rates = [window.seconds_to_wait(now) for window in self._windows.values() if not window.allowance(now)]
        held_off = [until - now for until in self._held_off.values() if now < until]
        return min([*rates, *held_off], default=math.inf)


class RateWindow:
    """The tasks of one command that were started in the last `rate.seconds`."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._started: deque[float] = deque(maxlen=rate.tasks)

    def allowance(self, now: float) -> int:
        """Return how many tasks may be started now."""
        while self._started and now >= self._started[0] + self._rate.seconds:
            self._started.popleft()
        return self._rate.tasks - len(self._started)

    def note_started(self, now: float) -> None:
        """Note that a task is started."""
        self._started.append(now)

    def seconds_to_wait(self, now: float) -> float:
        """Return the seconds until the oldest of these tasks no longer counts."""
        return self._started[0] + self._rate.seconds - now

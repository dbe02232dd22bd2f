"""Time as a case sees it: it waits by this clock, whether that takes time or not."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from codeq_contract.recordings.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class NotInTimeError(AssertionError):
    """What had to come about did not, in the time it had."""


class CalledOffError(Exception):
    """The wait was called off, and with it whoever waited."""


class Clock(ABC):
    """Nanoseconds since 1970, and waiting."""

    @abstractmethod
    def now(self) -> int:
        """The present moment."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""

    @abstractmethod
    def call_off(self) -> None:
        """Let nobody wait any more: who waits or is going to gets a CalledOffError."""

    def until(self, moment: int) -> None:
        """Wait until `moment`; at once if it has passed."""
        if moment > self.now():
            self.sleep((moment - self.now()) / SECOND)

    def eventually(self, probe: Callable[[], T], *, within: float, every: float = 0.25) -> T:
        """What `probe` returns as soon as that is true, asked every so often (both in seconds).

        Raises NotInTimeError.
        """
        deadline = self.now() + round(within * SECOND)
        while not (found := probe()):
            if self.now() >= deadline:
                raise NotInTimeError(f"not within {within:g} s; in the end: {found!r}")
            self.sleep(every)
        return found


class RealClock(Clock):
    """The machine's time: it is right once, at the start, and from then on it only ever goes forward."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()
        self._off = threading.Event()

    def now(self) -> int:
        """As `Clock.now`."""
        return time.monotonic_ns() + self._offset

    def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        if self._off.wait(seconds):
            raise CalledOffError

    def call_off(self) -> None:
        """As `Clock.call_off`."""
        self._off.set()

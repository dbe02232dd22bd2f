"""Clocks that cases wait by, whether that takes real time or not."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from codeq_contract.recordings.times import SECOND

T = TypeVar("T")


class NotInTimeError(AssertionError):
    """An expected event did not happen in time."""


class WaitCancelledError(Exception):
    """All waits on the clock are cancelled."""


class Clock(ABC):
    """Nanoseconds since 1970, and waiting."""

    @abstractmethod
    def now(self) -> int:
        """The present moment."""

    @abstractmethod
    def steady(self) -> int:
        """Nanoseconds since some moment, on a clock that cannot be set."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""

    @abstractmethod
    def cancel_waits(self) -> None:
        """Make all present and future waits raise WaitCancelledError."""

    def until(self, moment: int) -> None:
        """Wait until `moment`. Returns at once if it has passed."""
        if moment > self.now():
            self.sleep((moment - self.now()) / SECOND)

    def eventually(self, probe: Callable[[], T], *, within: float, every: float = 0.25) -> T:
        """Call `probe` every `every` seconds until it returns something true, and return that.

        Raises NotInTimeError after `within` seconds.
        """
        deadline = self.steady() + round(within * SECOND)
        while not (answer := probe()):
            if self.steady() >= deadline:
                raise NotInTimeError(f"not within {within:g} s; last: {answer!r}")
            self.sleep(every)
        return answer


class RealClock(Clock):
    """The machine's time, as servers and receivers on this machine read it."""

    def __init__(self) -> None:
        self._is_cancelled = threading.Event()

    def now(self) -> int:
        """As `Clock.now`."""
        return time.time_ns()

    def steady(self) -> int:
        """As `Clock.steady`."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        if self._is_cancelled.wait(seconds):
            raise WaitCancelledError

    def cancel_waits(self) -> None:
        """As `Clock.cancel_waits`."""
        self._is_cancelled.set()


@contextmanager
def called_every(seconds: float, call: Callable[[], object], *, thread: str) -> Iterator[None]:
    """Let a thread of that name call `call` every so many seconds of real time, until the context ends."""
    over = threading.Event()

    def call_often() -> None:
        while not over.wait(seconds):
            call()

    calling = threading.Thread(target=call_often, name=thread, daemon=True)
    calling.start()
    try:
        yield
    finally:
        over.set()
        calling.join()

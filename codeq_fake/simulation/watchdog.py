"""A watchdog for programs that run on without an await: virtual time stands still then, and the run would never end."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from .incarnation import CURRENT
from .loop import SimulatedLoop

#: How often it looks, and after how many looks in one turn of the loop it ends the run (s of this process's CPU time).
_INTERVAL = 1.0
_MOST_LOOKS = 10
#: How many lines of code it tells of.
_MOST_LINES = 8


class NeverAwaitsError(AssertionError):
    """A program has run for long without an await. The text says which one, and where."""


class Stuck(KeyboardInterrupt):
    """Ends a callback that does not end by itself, and the event loop with it, as ctrl-C does."""


@contextmanager
def watched(loop: SimulatedLoop) -> Iterator[None]:
    """Raise `Stuck` in a callback that takes 10 s of CPU time, as long as the context lasts.

    Only the main thread of a process can be interrupted, and not on Windows.
    """
    if current_thread() is not main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _Watchdog(loop))
    signal.setitimer(signal.ITIMER_VIRTUAL, _INTERVAL, _INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class _Watchdog:
    """Looks whether the loop is still in the same turn."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._turn = loop.turn
        self._looks = 0

    def __call__(self, _number: int, frame: FrameType | None) -> None:
        if self._turn != self._loop.turn:
            self._turn, self._looks = self._loop.turn, 0
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            raise Stuck(self._text(frame))

    def _text(self, frame: FrameType | None) -> str:
        incarnation = CURRENT.get()
        name = incarnation.host.name if incarnation is not None else "the test"
        lines = "".join(traceback.format_stack(frame, _MOST_LINES))
        seconds = _INTERVAL * _MOST_LOOKS
        return f"{name} runs without an await since {self._loop.time():.1f} s, for {seconds:g} s of CPU time:\n{lines}"

"""What disturbs cases in real time on this machine: its clock is set, or it stands still for a while."""

from __future__ import annotations

import threading
import time  # noqa: TID251 - compares the machine's clocks
from collections.abc import Callable
from contextlib import AbstractContextManager

from codeq_contract.recordings.times import MILLISECOND, SECOND

from .clocks import called_every

#: Seconds between two looks.
_INTERVAL = 0.1

#: A clock that is slewed moves by less between two looks, and cases allow for as much (ns).
_SLEWED = 20 * MILLISECOND
#: Busy machines are late by less, and cases allow for as much (ns).
_BUSY = 2 * SECOND


class Disturbances:
    """The disturbances so far, in words. A thread looks for them while `watched` lasts.

    `wall` is the clock of the machine, which can be set, and `steady` one that only moves forward (ns).
    """

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns) -> None:
        self.seen: list[str] = []
        self._wall = wall
        self._steady = steady
        self._looked, self._offset = self._read()
        self._lock = threading.Lock()

    def watched(self) -> AbstractContextManager[None]:
        """Look every tenth of a second."""
        return called_every(_INTERVAL, self.look, thread="disturbances")

    def look(self) -> None:
        """Note what has happened since the last look."""
        with self._lock:
            now, offset = self._read()
            stood, step = now - self._looked, offset - self._offset
            self._looked, self._offset = now, offset
        if stood > _BUSY:
            self.seen.append(f"this machine stood still for {stood / SECOND:.1f} s")
        if abs(step) > _SLEWED:
            direction = "forward" if step > 0 else "back"
            self.seen.append(f"the clock of this machine was set {direction} by {abs(step) / SECOND:.2f} s")

    def _read(self) -> tuple[int, int]:
        """The steady time, and how far the wall clock is ahead of it: read so quickly that no pause comes between."""
        while True:
            before, wall, now = self._steady(), self._wall(), self._steady()
            if now - before < MILLISECOND:
                return now, wall - now

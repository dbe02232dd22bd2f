"""Long polls for results: whether the server has them, and how many of a client wait (G1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .limits import MAX_LONG_POLLS


class LongPolls:
    """What all waits of one client share. Threads may use it at the same time."""

    def __init__(self) -> None:
        #: A server without long polls is found by the first one, which it answers at once (R13 of v0.3.3).
        self.are_missing = False
        self._open: set[object] = set()  # a set, since adding and discarding are atomic

    @property
    def are_possible(self) -> bool:
        """Whether another long poll may begin."""
        return not self.are_missing and len(self._open) < MAX_LONG_POLLS

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a long poll while it is open."""
        poll = object()
        self._open.add(poll)
        try:
            yield
        finally:
            self._open.discard(poll)

    def judge(self, asked: float, took: float) -> None:
        """Learn from an answer without a result that came `took` seconds after a request for a wait of `asked`."""
        if took < asked / 2:
            self.are_missing = True

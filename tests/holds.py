"""The longest hold of an event loop: for how long one call keeps all others waiting."""

from __future__ import annotations

import asyncio
import gc
import time  # noqa: TID251 - measures how long something takes
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from codeq_fake.core.slices import Slices

T = TypeVar("T")
P = ParamSpec("P")

#: No call may hold the loop longer (s), with 200,000 tasks.
LIMIT = 0.1
TASKS = 200_000

_INTERVAL = 0.001


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Let the collector of garbage rest: when it comes is chance, and with many tasks it takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def measured(test: Callable[P, None]) -> Callable[P, None]:
    """A test of measured time, which passes if one of three tries does: a shared machine may disturb a measurement.

    Garbage is kept until its end.
    """

    @wraps(test)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        with garbage_kept():
            for _ in range(2):
                with suppress(AssertionError):
                    return test(*args, **kwargs)
            return test(*args, **kwargs)

    return tried


class LongestHold:
    """An async context that measures the longest hold of the running loop (`seconds`), and all that it did (`total`).

    It counts the processor time of the loop's thread, so that other processes of a busy machine do not matter. For a
    test that is `measured`.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.total = 0.0

    @property
    def is_short(self) -> bool:
        """Whether the loop was given back often, however large the work was. Few tasks show it as well as many."""
        return self.seconds < max(self.total / 4, LIMIT / 5)

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick())
        await asyncio.sleep(2 * _INTERVAL)
        self.seconds = self.total = 0.0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.sleep(2 * _INTERVAL)
        self._ticking.cancel()

    async def _tick(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(_INTERVAL)
            now = time.thread_time()
            self.seconds = max(self.seconds, now - before)
            self.total += now - before
            before = now


def longest_slice(work: Slices[T]) -> float:
    """The processor time of the longest slice of some work (s). For a test that is `measured`."""
    longest = 0.0
    before = time.thread_time()
    for _ in work:
        now = time.thread_time()
        longest = max(longest, now - before)
        before = time.thread_time()
    return max(longest, time.thread_time() - before)

"""The one seam to time: what the client knows of clocks and how it sleeps."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


# These count while the machine is suspended. `time.monotonic` stands still then on Linux and on macOS.
_SINCE_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class Clock(Protocol):
    """Time as the client sees it. All values are seconds.

    `monotonic` measures leases and waits, also while the machine is suspended; `time` (since the epoch) judges tokens
    and signatures.
    `thread_safe` says whether another thread may use the clock: only then can leases be renewed on a thread of
    their own. `suspends` says whether the machine may be suspended, so that no long sleep is to be trusted.
    """

    thread_safe: bool
    suspends: bool

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        ...

    def sleep_blocking(self, seconds: float) -> None:
        """Wait, for the blocking client."""
        ...


class SystemClock:
    """The machine's clocks."""

    thread_safe = True
    suspends = True

    def monotonic(self) -> float:
        """Return the seconds since the machine was started."""
        return time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)

    def time(self) -> float:
        """Return `time.time()`."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(seconds)

    def sleep_blocking(self, seconds: float) -> None:
        """Sleep with the thread."""
        time.sleep(seconds)


async def sleep_or(clock: Clock, seconds: float, wake: Callable[[], Awaitable[object]]) -> bool:
    """Sleep so long (for ever when infinite), or until `wake()` returns; return whether it did."""
    if math.isinf(seconds):
        await wake()
        return True
    woken = False
    async with anyio.create_task_group() as group:

        async def listen() -> None:
            nonlocal woken
            await wake()
            woken = True
            group.cancel_scope.cancel()

        group.start_soon(listen)
        await clock.sleep(seconds)
        group.cancel_scope.cancel()
    return woken

"""Clocks: how the client reads the time and sleeps. Tests and simulations pass their own clock."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from codeq_client._compat.system_time import since_boot


class Clock(Protocol):
    """Time as the client sees it. All values are seconds.

    `monotonic` measures leases and waits, also while the machine is suspended; `time` (since the epoch) judges tokens
    and signatures. `thread_safe` says whether other threads may use the clock; only then does the client use threads
    for leases and token providers. `suspends` says whether the machine may be suspended; a long sleep is then split
    into short ones.
    """

    thread_safe: bool
    suspends: bool

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back."""

    def time(self) -> float:
        """Return seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""

    def sleep_blocking(self, seconds: float) -> None:
        """Wait, for the blocking client."""


class SystemClock:
    """The clocks of the machine."""

    thread_safe = True
    suspends = True

    def monotonic(self) -> float:
        """Return the seconds since the machine was started, including those while it was suspended."""
        return since_boot()

    def time(self) -> float:
        """Return `time.time()`."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(seconds)

    def sleep_blocking(self, seconds: float) -> None:
        """Sleep in the calling thread."""
        time.sleep(seconds)


async def sleep_or(clock: Clock, seconds: float, wake: Callable[[], Awaitable[object]]) -> bool:
    """Sleep for `seconds` (for ever if infinite), or until `wake()` returns; return whether it did."""
    if math.isinf(seconds):
        await wake()
        return True
    if isinstance(clock, SystemClock):  # the event loop's own timer, which needs no second task
        with anyio.move_on_after(seconds):
            await wake()
            return True
        return False
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


def has_own_time(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether the event loop replaces the time of asyncio's own loops, as loops with virtual time do."""
    return isinstance(loop, asyncio.BaseEventLoop) and type(loop).time is not asyncio.BaseEventLoop.time


def is_simulated() -> bool:
    """Return whether the running event loop simulates its process: without threads, and with its time on all clocks."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    return bool(getattr(loop, "simulates_its_process", False))

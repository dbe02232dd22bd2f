"""Shared by the tests of clocks: a clock that stands still, and a log of the timers that fired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from codeq_fake.clocks import Clock, WallClock

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_769_860_800_000_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


async def settle() -> None:
    """In these tests, timers wake up nothing that would have to finish."""


def manual(start: int = START) -> WallClock:
    return WallClock("manual", start=start)


class FiringLog:
    """Which timer fired when, in nanoseconds since `START`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lines: list[tuple[str, int]] = []

    def entry(self, name: str) -> Callable[[], None]:
        return lambda: self.lines.append((name, self.clock.now() - START))


async def fired(clock: Clock, when: int) -> int:
    """The instant at which a timer for ``when`` fires by itself."""
    event, instants = asyncio.Event(), list[int]()

    def fire() -> None:
        instants.append(clock.now())
        event.set()

    clock.call_at(when, fire)
    async with asyncio.timeout(5):
        await event.wait()
    return instants[0]

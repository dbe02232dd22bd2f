"""Stalled requests: those that a fault holds up, by the fake's clock or until its rule is removed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_fake.clocks.clock import Clock


class Stalls:
    """All requests that are held up at one fake."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: What each waits for -> the number of the fault that holds it up.
        self._held: dict[asyncio.Future[bool], int] = {}
        #: Goes up whenever one is let go, so that whoever advances the clock knows that someone was woken.
        self.woken = 0

    async def hold(self, fault: int, *, until: int | None, gone: Callable[[], Awaitable[None]]) -> bool:
        """Hold up until an instant (ns), None being until it is let go; says whether the client is still there.

        ``gone`` returns when the client has hung up.
        """
        stalled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._held[stalled] = fault
        timer = self._clock.call_at(until, partial(self._end, stalled, there=True)) if until is not None else None

        async def leave() -> None:
            await gone()
            self._end(stalled, there=False)

        client = asyncio.create_task(leave())
        try:
            return await stalled
        finally:
            client.cancel()
            if timer is not None:
                timer.cancel()
            self._held.pop(stalled, None)

    def release(self, fault: int | None = None) -> None:
        """Let go who is held up by this fault, or everybody."""
        for stalled, holder in list(self._held.items()):
            if fault is None or holder == fault:
                self._end(stalled, there=True)

    def _end(self, stalled: asyncio.Future[bool], *, there: bool) -> None:
        if not stalled.done():
            stalled.set_result(there)
            self.woken += 1

    def __len__(self) -> int:
        """How many requests are held up."""
        return len(self._held)

"""Who waits on the fake's clock: parked long polls, which try again every 250 ms (K9), and whoever sleeps on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from codeq_fake.core.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_fake.clocks.clock import Clock

INTERVAL = 250 * MILLISECOND
LONGEST_WAIT = 30  # seconds (K2)

T = TypeVar("T")


class Polls:
    """All claims that are parked at one fake, and its sleepers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parked: set[_Poll[Any]] = set()
        #: Goes up whenever a poll or a sleep ends, so that whoever advances the clock knows that someone was woken.
        self.woken = 0

    async def park(
        self, attempt: Callable[[int], T | None], *, wait_seconds: int, gone: Callable[[], Awaitable[None]]
    ) -> T | None:
        """Try ``attempt`` (it gets the time) until it finds something or ``wait_seconds`` (at most 30) are over.

        ``gone`` returns when the client has hung up: from then on nothing is tried, and None is returned.
        """
        now = self._clock.now()
        found = attempt(now)
        if found is not None or wait_seconds <= 0:
            return found
        poll = _Poll(self._clock, attempt, since=now, wait_seconds=min(wait_seconds, LONGEST_WAIT), ended=self._woke)
        self._parked.add(poll)

        async def leave() -> None:
            # Not a callback of the task: whoever waits for tasks to come to rest would not see that one is to come.
            try:
                await gone()
            finally:
                poll.end(None)

        client = asyncio.create_task(leave())
        try:
            return await poll.found
        finally:
            poll.end(None)
            client.cancel()
            self._parked.discard(poll)

    async def sleep(self, duration: int) -> None:
        """Wait until the clock has moved on by ``duration`` (ns)."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not over.done():
                over.set_result(None)
                self._woke()

        timer = self._clock.call_at(self._clock.now() + duration, wake)
        try:
            await over
        finally:
            timer.cancel()

    def release(self) -> None:
        """End every parked poll without a task."""
        for poll in list(self._parked):
            poll.end(None)

    def _woke(self) -> None:
        self.woken += 1

    def __len__(self) -> int:
        """How many claims are parked."""
        return len(self._parked)


class _Poll(Generic[T]):
    """One parked claim: its next try is a timer of the clock."""

    def __init__(
        self,
        clock: Clock,
        attempt: Callable[[int], T | None],
        *,
        since: int,
        wait_seconds: int,
        ended: Callable[[], None],
    ) -> None:
        self.found: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._clock = clock
        self._attempt = attempt
        self._deadline = since + wait_seconds * SECOND
        self._ended = ended
        self._timer = clock.call_at(since + INTERVAL, self._try)

    def end(self, found: T | None) -> None:
        """Let the claim be answered, unless it already is."""
        self._timer.cancel()
        if not self.found.done():
            self.found.set_result(found)
            self._ended()

    def _try(self) -> None:
        if self.found.done():
            return
        found = self._attempt(self._clock.now())
        if found is not None or self._timer.when >= self._deadline:
            self.end(found)
        else:
            self._timer = self._clock.call_at(min(self._timer.when + INTERVAL, self._deadline), self._try)

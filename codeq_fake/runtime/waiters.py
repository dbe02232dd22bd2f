"""Everything that waits at one fake: long polls (K9), requests that a fault holds up, and sleepers on its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

from codeq_fake.clocks import END_OF_TIME, Clock, Timer
from codeq_fake.core.times import SECOND

T = TypeVar("T")


class _Waiter(Generic[T]):
    """One wait, with the timer that may end it. Only the first end counts."""

    def __init__(self, woke: Callable[[], None]) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.timer: Timer | None = None
        self._woke = woke

    def end(self, result: T) -> None:
        """End the wait with `result`, unless it is over."""
        if not self.result.done():
            self.result.set_result(result)
            self._woke()

    async def wait(self, gone: Callable[[], Awaitable[None]], *, if_gone: T) -> T:
        """Wait for the result. It is `if_gone` when `gone` returns first."""
        # A task, not a callback: `let_tasks_run` waits for tasks only, and this one may be about to end the wait.
        client = asyncio.create_task(self._end_when(gone, if_gone))
        try:
            return await self.result
        finally:
            client.cancel()
            if self.timer is not None:
                self.timer.cancel()

    async def _end_when(self, gone: Callable[[], Awaitable[None]], if_gone: T) -> None:
        try:
            await gone()
        finally:
            self.end(if_gone)


class _Poll(_Waiter[T | None]):
    """A long poll, with its attempts: one each `interval` ns after its start, and the last at its deadline."""

    def __init__(
        self,
        woke: Callable[[], None],
        clock: Clock,
        attempt: Callable[[int], T | None],
        next_chance: Callable[[], int | None],
        *,
        start: int,
        interval: int,
        deadline: int,
    ) -> None:
        super().__init__(woke)
        self._clock = clock
        self._attempt = attempt
        self._next_chance = next_chance
        #: When its last attempt was due.
        self._latest = start
        self._interval = interval
        self._deadline = deadline

    def park(self) -> None:
        """Set the timer for the next attempt. Where time jumps, leave out those that cannot find anything."""
        chance = self._next_chance() if self._clock.jumps else 0
        following = self._latest + self._interval
        if chance is None:
            following = self._deadline
        elif chance > following:
            following = chance + (following - chance) % self._interval
        self._attempt_at(min(following, self._deadline))

    def look_again(self) -> None:
        """Attempt at the next regular moment after all, if `park` has left it out."""
        now = self._clock.now()
        following = now + self._interval - (now - self._latest) % self._interval
        if self.timer is not None and following < self.timer.when:
            self._attempt_at(following)

    def _attempt_at(self, when: int) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self._clock.call_at(when, self._retry)

    def _retry(self) -> None:
        """Attempt, and end the wait or park again. The timer calls it."""
        if self.result.done() or self.timer is None:
            return
        self._latest = self.timer.when
        result = self._attempt(self._clock.now())
        if result is not None or self._latest >= self._deadline:
            self.end(result)
        else:
            self.park()


class Waiters:
    """The long polls, held requests and sleepers of one fake. Walks over them are in order of arrival.

    `gone` arguments return when the client has hung up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._polls: dict[_Poll[Any], None] = {}
        #: With the number of the fault that holds the request up.
        self._held: dict[_Waiter[bool], int] = {}
        self._sleepers: dict[_Waiter[None], None] = {}
        #: How many waits have ended. An advance of the clock sees from it that a task was woken.
        self.woken = 0

    @property
    def parked(self) -> int:
        """How many long polls wait."""
        return len(self._polls)

    async def poll(
        self,
        attempt: Callable[[int], T | None],
        *,
        now: int,
        wait_seconds: int,
        interval: int,
        gone: Callable[[], Awaitable[None]],
        next_chance: Callable[[], int | None],
    ) -> T | None:
        """Call `attempt` with the time until it returns a value or `wait_seconds` after `now` are over.

        The attempts are `interval` ns apart, the last is at the deadline. On a clock that jumps there are none before
        `next_chance`, until `look_again` is called. Returns None if the client hangs up.
        """
        result = attempt(now)
        deadline = min(now + wait_seconds * SECOND, END_OF_TIME)
        if result is not None or deadline <= now:
            return result
        poll = _Poll(self._woke, self._clock, attempt, next_chance, start=now, interval=interval, deadline=deadline)
        self._polls[poll] = None
        poll.park()
        try:
            return await poll.wait(gone, if_gone=None)
        finally:
            del self._polls[poll]

    def look_again(self) -> None:
        """Something has changed: let all polls attempt at their next regular moment, even if it was left out."""
        for poll in self._polls:
            poll.look_again()

    async def hold(self, fault: int, *, until: int | None, gone: Callable[[], Awaitable[None]]) -> bool:
        """Hold a request up until an instant (ns; None: for ever), or until `release_held` is called with its fault.

        Returns whether the client is still there.
        """
        if until is not None:
            until = min(until, END_OF_TIME)
            if until <= self._clock.now():
                return True
        waiter: _Waiter[bool] = _Waiter(self._woke)
        if until is not None:
            waiter.timer = self._clock.call_at(until, partial(waiter.end, True))  # noqa: FBT003 - the client stayed
        self._held[waiter] = fault
        try:
            return await waiter.wait(gone, if_gone=False)
        finally:
            del self._held[waiter]

    async def sleep(self, duration: int) -> None:
        """Wait until the clock has moved on by `duration` (ns), or to the end of time."""
        now = self._clock.now()
        until = min(now + duration, END_OF_TIME)
        if until <= now:
            return
        waiter: _Waiter[None] = _Waiter(self._woke)
        waiter.timer = self._clock.call_at(until, partial(waiter.end, None))
        self._sleepers[waiter] = None
        try:
            await waiter.result
        finally:
            del self._sleepers[waiter]
            waiter.timer.cancel()

    def move_to(self, clock: Clock) -> None:
        """Wait by another clock from now on. Each sleeper, which is not part of the state, sleeps for what is left."""
        before, now = self._clock.now(), clock.now()
        self._clock = clock
        for waiter in self._sleepers:
            if waiter.timer is not None:
                waiter.timer.cancel()
                waiter.timer = clock.call_at(now + waiter.timer.when - before, partial(waiter.end, None))

    def release_held(self, fault: int | None = None) -> None:
        """Let held requests go on: those that this fault holds up, or all if it is None."""
        for waiter, holder in list(self._held.items()):
            if fault in (None, holder):
                waiter.end(True)  # noqa: FBT003 - as above

    def release(self) -> None:
        """End all long polls without a result, and all held requests. Sleepers stay."""
        for poll in list(self._polls):
            poll.end(None)
        self.release_held()

    def _woke(self) -> None:
        self.woken += 1

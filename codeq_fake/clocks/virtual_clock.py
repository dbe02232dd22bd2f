"""The auto clock: a fake's time is the time of its event loop, and jumps with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Protocol, runtime_checkable

from .clock import Clock, FollowsItsLoopError, Mode, no_context

_SECOND = 1_000_000_000


@runtime_checkable
class JumpingLoop(Protocol):
    """What an auto clock needs of an event loop, such as `VirtualTimeLoop`. Times are in seconds."""

    def time(self) -> float:
        """The loop's time."""

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""

    def looks_outside(self) -> bool:
        """Whether time must not jump, because a thread or a socket is awaited."""

    def jump_to(self, moment: float) -> bool:
        """Jump to a moment if nothing can happen before it, and say whether it did."""


class VirtualClock(Clock):
    """A clock that follows the virtual-time loop in which it is used.

    It stands still where no loop runs, and goes on in the next one.
    """

    jumps = True

    def __init__(self, *, start: int | None = None) -> None:
        super().__init__()
        self._latest = self.wall() if start is None else start
        #: The instant at which the loop's time was 0.
        self._origin = self._latest
        self._loop: JumpingLoop | None = None
        self._fired = 0
        self._is_firing = False
        self._follow()

    @property
    def mode(self) -> Mode:
        """`auto`."""
        return "auto"

    def set_mode(self, mode: Mode) -> None:
        """Raise FollowsItsLoopError unless the mode is `auto`."""
        if mode != "auto":
            raise FollowsItsLoopError("an auto clock follows its event loop: it cannot become a manual or a real one")

    def starting_at(self, start: int) -> Clock:
        """A new auto clock that starts at another instant."""
        return VirtualClock(start=start)

    def now(self) -> int:
        """The present instant. Raises FollowsItsLoopError in a loop whose time does not jump."""
        if self._is_firing:
            return self._latest
        self._follow()
        if self._loop is not None:
            self._latest = max(self._latest, self._origin + round(self._loop.time() * _SECOND))
        return self._latest

    async def advance(
        self,
        wait_until_quiet: Callable[[], Awaitable[None]],
        *,
        to: int | None = None,
        by: int = 0,
        mode: Mode | None = None,
    ) -> int:
        """As `Clock.advance`: sleep until then, as everything else in this loop does."""
        if mode is not None:
            self.set_mode(mode)  # raises unless it is "auto"
        before = self._fired
        reached = asyncio.Event()
        timer = self.call_at(self._goal(to, by), reached.set)
        try:
            await reached.wait()
        finally:
            timer.cancel()
        await wait_until_quiet()
        return self._fired - before - 1  # without the timer of this call

    def _follow(self) -> JumpingLoop | None:
        """Follow the running loop from now on, and return it; None without one. Time goes on from the last instant."""
        try:
            running: object = asyncio.get_running_loop()
        except RuntimeError:
            return None
        if running is self._loop:
            return self._loop
        if not isinstance(running, JumpingLoop):
            raise FollowsItsLoopError(
                f'clock="auto" needs a virtual-time event loop, and {type(running).__name__} runs here: mark an async '
                'test with @pytest.mark.codeq(clock="auto") (the function or its class: in the marks of a pytest.param '
                "and in codeq_options it comes too late), call codeq_fake.testing.run(main()), or use "
                "codeq_fake.testing.VirtualTimeLoop as the loop factory where the loop is started"
            )
        self._loop = running
        self._be_at(self._latest, running)
        return running

    def _be_at(self, instant: int, loop: JumpingLoop) -> None:
        """Make the loop's present time mean this instant: a float may be a nanosecond before or after it."""
        self._latest = max(self._latest, instant)
        self._origin = self._latest - round(loop.time() * _SECOND)

    def _arm(self) -> None:
        if self._is_firing:
            return
        self._disarm()
        loop, when = self._follow(), self._timers.next_due()
        if loop is not None and when is not None:
            self._alarm = loop.call_at(self._loop_time(when), self._reach, loop, when, context=no_context())

    def _reach(self, loop: JumpingLoop, when: int) -> None:
        """Set the time to `when`, and fire what is due.

        Then continue with the next timer at once, unless a task was woken up. Most tries of a long poll wake none, so
        this saves one turn of the loop for each of them.
        """
        self._is_firing = True
        can_jump = not loop.looks_outside()
        try:
            reached: int | None = when
            while reached is not None:
                self._be_at(reached, loop)
                self._fired += self._timers.fire(reached)
                reached = self._timers.next_due()
                if reached is not None and not (can_jump and loop.jump_to(self._loop_time(reached))):
                    break
        finally:
            self._is_firing = False
            self._arm()

    def _loop_time(self, when: int) -> float:
        return (when - self._origin) / _SECOND

"""The auto clock: a fake's time is that of a virtual-time event loop, and jumps with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from codeq_fake.core.times import SECOND

from .clock import Clock
from .virtual_loop import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .clock import Mode


class FollowsItsLoopError(RuntimeError):
    """An auto clock was to be frozen or to run by itself, or it was asked for the time where no virtual loop runs."""


class LoopClock(Clock):
    """An auto clock: it runs, and jumps, with the virtual-time loop in which it is used.

    Outside of one it stands still, and with the next one it goes on.
    """

    def __init__(self, *, start: int | None = None) -> None:
        super().__init__(start=start)
        self._latest = super().now() if start is None else start
        #: The instant at which the loop's time was 0.
        self._origin = self._latest
        self._loop: VirtualTimeLoop | None = None
        self._fired = 0
        self._firing = False
        self._follow()

    @property
    def mode(self) -> Mode:
        """``auto``."""
        return "auto"

    def at(self, start: int) -> Clock:
        """A clock of the same mode that begins at another instant (ns)."""
        return LoopClock(start=start)

    def now(self) -> int:
        """The present instant (ns). Raises FollowsItsLoopError in a loop whose time does not jump."""
        if self._firing:
            return self._latest
        self._follow()
        if self._loop is not None:
            self._latest = max(self._latest, self._origin + round(self._loop.time() * SECOND))
        return self._latest

    def freeze(self) -> None:
        """Refuse. Raises FollowsItsLoopError."""
        raise FollowsItsLoopError("an auto clock follows its event loop: it cannot be frozen or left to itself")

    thaw = freeze

    async def advance(
        self, settle: Callable[[], Awaitable[None]], *, to: int | None = None, by: int = 0, mode: Mode | None = None
    ) -> int:
        """Sleep until then, as everything else in this loop does; else as :meth:`Clock.advance`."""
        if mode not in (None, "auto"):
            self.freeze()
        reached = asyncio.Event()
        timer = self.call_at(self._goal(to, by), reached.set)
        before = self._fired
        try:
            await reached.wait()
        finally:
            timer.cancel()
        await settle()
        return self._fired - before - 1

    def _follow(self) -> VirtualTimeLoop | None:
        """Go on from the present instant with the loop that runs here, if one does."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return None
        if running is self._loop:
            return running
        if not isinstance(running, VirtualTimeLoop):
            raise FollowsItsLoopError(
                f'clock="auto" needs a virtual-time event loop, and {type(running).__name__} runs here: mark an async '
                'test with @pytest.mark.codeq(clock="auto"), call codeq_fake.testing.run(main()), or give to whatever '
                "starts the loop codeq_fake.testing.VirtualTimeLoop as its loop factory"
            )
        self._loop = running
        self._be_at(self._latest, running)
        return running

    def _be_at(self, instant: int, loop: VirtualTimeLoop) -> None:
        """Let the loop's present time be this instant: a float falls short of it, or goes beyond, by a nanosecond."""
        self._latest = max(self._latest, instant)
        self._origin = self._latest - round(loop.time() * SECOND)

    def _arm(self) -> None:
        if self._firing:
            return
        self._disarm()
        loop, when = self._follow(), self._next_when()
        if loop is not None and when is not None:
            self._alarm = loop.call_at(self._loop_time(when), self._reach, loop, when)
            self._alarm_loop = loop

    def _reach(self, loop: VirtualTimeLoop, when: int) -> None:
        """Be at ``when`` and fire what is due; go on at once while that wakes nobody, as a long poll's tries do not."""
        self._firing = True
        alone = not loop.looks_outside()
        try:
            reached: int | None = when
            while reached is not None:
                self._be_at(reached, loop)
                self._fired += self._fire_due()
                reached = self._next_when()
                if reached is not None and not (alone and loop.jump_to(self._loop_time(reached))):
                    break
        finally:
            self._firing = False
            self._arm()

    def _loop_time(self, when: int) -> float:
        return (when - self._origin) / SECOND


def clock_of(mode: Mode, *, start: int | None = None) -> Clock:
    """A clock that stands, or begins, at ``start`` (ns), or else at the present wall time.

    Raises ValueError for a mode that does not exist, as an ini file may have it.
    """
    match mode:
        case "auto":
            return LoopClock(start=start)
        case "real" | "manual":
            return Clock(mode, start=start)
    raise ValueError(f"clock: found {mode!r}, allowed are manual, auto and real")

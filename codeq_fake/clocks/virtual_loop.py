"""The virtual-time event loop: its time jumps to the next timer as soon as every task waits."""

from __future__ import annotations

import asyncio
import logging
import math
import selectors
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    T = TypeVar("T")
    Ready = list[tuple[selectors.SelectorKey, int]]

#: What is awaited outside of the loop takes no time, as long as it is quicker than this (real seconds).
QUICK = 1.0

#: How long a loop that has nothing to wait for waits for a thread that it does not know of (real seconds).
PATIENCE = 1.0

#: How often a loop looks whether there is still something to wait for: a thread may end without a word (real seconds).
LOOK_AGAIN = 0.05

_NANOSECOND = 1e-9

_log = logging.getLogger(__name__)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as ``asyncio.run`` does, on a loop whose time jumps, and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class NothingEverHappensError(RuntimeError):
    """Every task waits for what nobody will bring about: on an ordinary loop this would hang."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time begins at 0 and jumps: ``asyncio.sleep(36_000)`` is ten hours, and takes no time.

    It never jumps over what it cannot see the end of. While a thread is awaited (``asyncio.to_thread``,
    ``anyio.to_thread``), or a socket, a pipe or a subprocess is open, a timer of 2 s fires after 2 real seconds, and
    what is over within one takes no time at all. Of threads that were started in another way it does not know.

    Raises NothingEverHappensError when all tasks wait and nothing is left that could wake one.
    """

    def __init__(self) -> None:
        self._moment = 0.0
        self._executing = 0
        #: Real seconds that were waited for the outside: since something happened there, and before that.
        self._waited = self._owed = 0.0
        self._told = False
        self._outside = _Selector(self._wait)
        super().__init__(self._outside)

    def time(self) -> float:
        """The virtual time (seconds)."""
        return self._moment

    def looks_outside(self) -> bool:
        """Whether a thread is awaited or anything is open, so that time must not jump."""
        # One entry is the loop's own, by which other threads wake it.
        return len(self._outside.get_map()) > 1 or self._executing > 0 or any(map(self._awaits, threading.enumerate()))

    def jump_to(self, moment: float) -> bool:
        """Be there at once if no task can run and no timer is due before, and say whether it is so.

        For who knows that nothing is awaited outside, and has a timer of its own to fire then.
        """
        if self._ready or (self._timers and self._timers[0].when() <= moment):  # type: ignore[attr-defined]  # as below
            return False
        self._move(moment)
        return True

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]  # noqa: ANN401 - asyncio's own type, in short
        """As asyncio's; time does not jump before its end."""
        future = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._executed)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """As asyncio's, which waits for a thread with a timeout."""
        self._executing += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._executing -= 1

    def _executed(self, _: object) -> None:
        self._executing -= 1

    def _wait(self, timeout: float | None) -> Ready:
        """What the loop does when no task can run: it looks outside, and else moves its time on."""
        ready = self._outside.wait(0)
        if ready or timeout == 0:
            return ready
        if self.looks_outside():
            return self._wait_outside(timeout)
        if timeout is None:
            return self._wait_in_vain()
        self._jump()
        return []

    def _jump(self) -> None:
        """Be at the next timer. To add what was left until then would be a rounding beside it."""
        self._move(self._timers[0].when())
        self._waited = self._owed = 0.0

    def _move(self, moment: float) -> None:
        self._moment = max(self._moment, moment)
        # What is due within the resolution fires. Less than a float can tell apart, as after months, would be none.
        self._clock_resolution = max(_NANOSECOND, 2 * math.ulp(moment))

    @property
    def _timers(self) -> list[asyncio.TimerHandle]:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # asyncio has no public word
        return timers

    def _wait_outside(self, timeout: float | None) -> Ready:
        left = math.inf if timeout is None else timeout - self._waited
        began = super().time()
        ready = self._outside.wait(min(max(left, 0), LOOK_AGAIN))
        self._waited += super().time() - began
        if self._waited >= QUICK and not self._told:
            self._told = True
            _log.warning("virtual time does not jump while threads are awaited or this is open: %s", str(self._outside))
        if ready:
            self._owe(timeout)
        elif timeout is not None and self._waited >= timeout:
            self._jump()
        return ready

    def _owe(self, timeout: float | None) -> None:
        """Let time that was waited for an event pass by the second: a thread that asks again and again must see it."""
        self._owed += self._waited
        self._waited = 0.0
        if self._owed >= QUICK:
            passed = self._owed if timeout is None else min(self._owed, timeout)
            self._move(self._moment + passed)
            self._owed -= passed

    def _wait_in_vain(self) -> Ready:
        ready = self._outside.wait(PATIENCE)
        if not ready:
            tasks = "\n".join(f"- {task!r}" for task in asyncio.all_tasks(self))
            raise NothingEverHappensError(
                f"all tasks of this loop wait, and no timer, thread or socket is left that could wake one:\n{tasks}"
            )
        return ready

    def _awaits(self, thread: threading.Thread) -> bool:
        """Whether it works for a task of this loop; neither library has a public word for it."""
        idle = getattr(thread, "idle_workers", None)  # those of anyio
        if idle is not None:
            return getattr(thread, "loop", None) is self and thread not in idle
        return "waitpid-" in thread.name  # that of asyncio for a subprocess


class _Selector(selectors.DefaultSelector):
    """What a loop waits with; here the loop itself decides how long."""

    def __init__(self, wait: Callable[[float | None], Ready]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> Ready:
        """Return what has become ready."""
        return self._wait(timeout)

    def wait(self, timeout: float | None) -> Ready:
        """Return what has become ready within so many real seconds."""
        return super().select(timeout)

    def __str__(self) -> str:
        _, *others = (key.fileobj for key in self.get_map().values())
        return ", ".join(map(str, others)) or "nothing"

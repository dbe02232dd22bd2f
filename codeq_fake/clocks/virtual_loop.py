"""The virtual-time event loop: its time jumps to the next timer as soon as every task waits.

How it works: asyncio's loop runs its callbacks, and then asks its selector to wait for sockets until the next timer is
due. Here the selector hands that question to the loop, which answers without waiting: it moves its time to the timer
and says that no socket is ready. So a turn of the loop costs the same whether a timer is a second or a year away.

This is right only if nothing outside of the loop can happen before the timer. A thread, a socket or a subprocess is
outside: its end takes real time, which must not be skipped. While one is awaited, the loop waits in real time, as an
ordinary loop does, and a timer of 2 s fires after 2 real seconds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from codeq_fake.compat.anyio_threads import works_for
from codeq_fake.compat.asyncio import (
    LoopWithoutSockets,
    awaits_subprocess,
    has_ready_callbacks,
    next_timer,
    set_resolution,
)

from .clock import stopwatch

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]

#: Something outside of the loop takes no virtual time if it is quicker than this (real seconds).
QUICK = 1.0

#: How long a loop that has nothing to wait for waits for a thread that it does not know of (real seconds).
PATIENCE = 1.0

#: How often a loop checks whether there is still something outside: a thread may end without an event (real seconds).
_CHECK_INTERVAL = 0.05

_NANOSECOND = 1e-9
_SECOND = 1_000_000_000

_log = logging.getLogger(__name__)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, on a loop whose time jumps, and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class NothingEverHappensError(RuntimeError):
    """Every task waits, and nothing is left that could wake one up: an ordinary loop would hang."""


class VirtualTimeLoop(LoopWithoutSockets):
    """An asyncio loop whose time starts at 0 and jumps: `asyncio.sleep(36_000)` is ten hours, and takes no time.

    It does not jump while a thread is awaited (`asyncio.to_thread`, `anyio.to_thread`), or a socket, a pipe or a
    subprocess is open: then a timer of 2 s fires after 2 real seconds, and what is over within one second takes no
    time at all. It does not know of threads that were started in another way.

    Raises NothingEverHappensError when all tasks wait and nothing is left that could wake one up.
    """

    #: Receives what callbacks raise, such as those of `call_later`. By default it is logged.
    callback_errors: ClassVar[list[BaseException] | None] = None

    def __init__(self) -> None:
        self._now = 0.0
        #: How many calls of an executor are awaited.
        self._executing = 0
        #: Real seconds that were spent waiting for the outside since something happened there.
        self._waited = 0.0
        #: Real seconds that were spent waiting before that, and have not passed in virtual time yet.
        self._owed = 0.0
        self._has_warned = False
        self._outside = _Selector(self._wait)
        super().__init__(self._outside)

    def time(self) -> float:
        """The virtual time (seconds)."""
        return self._now

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """As asyncio's, except for `callback_errors`."""
        if self.callback_errors is not None and "handle" in context and "exception" in context:
            self.callback_errors.append(context["exception"])
        else:
            super().default_exception_handler(context)

    def next_timer(self) -> float | None:
        """The moment of the next timer (s), None without one. A loop that keeps its timers otherwise overrides this."""
        return next_timer(self)

    def looks_outside(self) -> bool:
        """Whether time must not jump, because a thread is awaited or something is open.

        A loop that simulates its network and its threads may override this, and return False.
        """
        # One entry of the selector is the loop's own: the pipe by which other threads wake it up.
        return len(self._outside.get_map()) > 1 or self._executing > 0 or any(map(self._awaits, threading.enumerate()))

    def jump_to(self, moment: float) -> bool:
        """Jump to a moment (s) if no task can run and no timer is due before it, and say whether it did.

        The caller knows that nothing is awaited outside, and has a separate timer to fire then.
        """
        timer = self.next_timer()
        if has_ready_callbacks(self) or (timer is not None and timer <= moment):
            return False
        self._move(moment)
        return True

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]  # noqa: ANN401 - asyncio's own type, in short
        """As asyncio's; time does not jump before the call has ended."""
        future = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._executed)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """As asyncio's, which waits for a thread with a timeout; time must not jump to that."""
        self._executing += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._executing -= 1

    def _executed(self, _: object) -> None:
        self._executing -= 1

    def _wait(self, timeout: float | None) -> Ready:
        """Stand in for the selector's `select`: wait for the outside, or else move the time.

        `timeout` is 0 if callbacks are ready, None if there is no timer.
        """
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
        """Jump to the next timer."""
        timer = self.next_timer()
        if timer is not None:
            self._move(timer)
        self._waited = self._owed = 0.0

    def _move(self, moment: float) -> None:
        self._now = max(self._now, moment)
        # The loop fires what is due before its time plus its resolution. After months, a nanosecond is less than a
        # float can tell apart: added to the time it is nothing, and the timer would never fire.
        set_resolution(self, max(_NANOSECOND, 2 * math.ulp(moment)))

    def _wait_outside(self, timeout: float | None) -> Ready:
        """Wait in real time, but not beyond the next timer.

        The wait is cut into short ones, each of which is one turn of the loop: what is outside may end without an
        event (a thread that ends, a socket that another thread closes), and then time may jump again.
        """
        left = math.inf if timeout is None else timeout - self._waited
        began = stopwatch()
        ready = self._outside.wait(min(max(left, 0), _CHECK_INTERVAL))
        self._waited += (stopwatch() - began) / _SECOND
        if self._waited >= QUICK and not self._has_warned:
            self._has_warned = True
            _log.warning("virtual time does not jump while threads are awaited or this is open: %s", str(self._outside))
        if ready:
            self._owe(timeout)
        elif timeout is not None and self._waited >= timeout:
            self._jump()
        return ready

    def _owe(self, timeout: float | None) -> None:
        """Something happened outside. Let whole seconds that were spent waiting pass in virtual time.

        What is quick takes no time, so that a test which calls a server on a socket sees the same instants in each
        run. But a thread or a peer that asks again and again until time has passed must see it pass at some point:
        therefore the short waits add up. Time never moves beyond the next timer, which has not fired yet.
        """
        self._owed += self._waited
        self._waited = 0.0
        if self._owed >= QUICK:
            passed = self._owed if timeout is None else min(self._owed, timeout)
            self._move(self._now + passed)
            self._owed -= passed

    def _wait_in_vain(self) -> Ready:
        """Wait for an unknown thread to call `call_soon_threadsafe`, and raise an error if none does.

        An ordinary loop would wait for ever here. An error that names the tasks is more useful to a test.
        """
        ready = self._outside.wait(PATIENCE)
        if not ready:
            tasks = "\n".join(f"- {task!r}" for task in asyncio.all_tasks(self))
            raise NothingEverHappensError(
                f"all tasks of this loop wait, and no timer, thread or socket is left that could wake one:\n{tasks}"
            )
        return ready

    def _awaits(self, thread: threading.Thread) -> bool:
        """Whether a thread, which did not come by `run_in_executor`, works for a task of this loop."""
        return works_for(thread, self) or awaits_subprocess(thread)


class _Selector(selectors.DefaultSelector):
    """The loop's selector. The loop itself decides how long it waits."""

    def __init__(self, wait: Callable[[float | None], Ready]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> Ready:
        """Return what has become ready. Called by asyncio."""
        return self._wait(timeout)

    def wait(self, timeout: float | None) -> Ready:
        """Return what has become ready within `timeout` real seconds."""
        return super().select(timeout)

    def __str__(self) -> str:
        _, *others = (key.fileobj for key in self.get_map().values())
        return ", ".join(map(str, others)) or "nothing"

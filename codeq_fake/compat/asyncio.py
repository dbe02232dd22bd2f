"""Insides of asyncio: what a task waits for, the queue and the timers of an event loop, and which loop is running."""

from __future__ import annotations

import _socket
import asyncio
import threading
from collections.abc import Callable, Sized
from concurrent.futures import Future
from contextvars import copy_context
from selectors import DefaultSelector, SelectorKey
from typing import TypeVar, cast

T = TypeVar("T")


class LoopWithoutSockets(asyncio.SelectorEventLoop):
    """asyncio's loop, whose own pipe is not a `socket.socket`: tests replace that class to keep the network out."""

    def _make_self_pipe(self) -> None:
        if not hasattr(_socket, "socketpair"):  # Windows
            super()._make_self_pipe()  # type: ignore[misc]  # there is no public name
            return
        self._ssock, self._csock = _socket.socketpair()
        self._ssock.setblocking(False)  # noqa: FBT003 - as socket names it
        self._csock.setblocking(False)  # noqa: FBT003 - as above
        self._internal_fds += 1  # type: ignore[attr-defined]  # as above
        self._add_reader(self._ssock.fileno(), self._read_from_self)  # type: ignore[attr-defined]  # as above


class SharedLoop(LoopWithoutSockets):
    """asyncio's loop, in which other threads may call functions while it only waits.

    To wake the loop's thread for a function, and to be woken by it, takes longer than most functions do.
    """

    def __init__(self) -> None:
        #: Held by the thread that runs something in this loop; free while the loop waits.
        self._turn = threading.Lock()
        self._turn.acquire()
        super().__init__(_SharedSelector(self._turn))

    @property
    def is_idle(self) -> bool:
        """Whether it waits. In debug mode asyncio lets no other thread call anything, so then it never does."""
        return not self._turn.locked() and not self.get_debug()

    def call_here(self, function: Callable[[], T]) -> T:
        """Call a function from another thread, as a callback of this loop. Raises RuntimeError if the loop has ended.

        It begins as soon as the loop is idle. What it leaves to the loop, such as a callback to send, gets a turn
        before this returns.
        """
        turn: Future[None] | None = None
        try:
            with self._turn:
                if not self.is_running():
                    raise RuntimeError("the event loop has ended")
                timer, here = next_timer(self), asyncio._get_running_loop()  # noqa: SLF001 - the public one raises
                try:
                    asyncio._set_running_loop(self)  # noqa: SLF001 - there is no public name
                    return copy_context().run(function)
                finally:
                    asyncio._set_running_loop(here)  # noqa: SLF001 - as above
                    if has_ready_callbacks(self) or next_timer(self) != timer:
                        turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self)
        finally:
            if turn is not None:
                turn.result()

    def close(self) -> None:
        """As asyncio's. Threads that wait for their turn find that the loop has ended."""
        if not self.is_closed():
            super().close()
            self._turn.release()


class _SharedSelector(DefaultSelector):
    """A selector that releases the loop's turn while it waits."""

    def __init__(self, turn: threading.Lock) -> None:
        super().__init__()
        self._turn = turn

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        self._turn.release()
        try:
            return super().select(timeout)
        finally:
            self._turn.acquire()


def is_waiting(task: asyncio.Task[object]) -> bool:
    """Whether a task waits for something that has not happened yet."""
    # anyio.wait_all_tasks_blocked asks the same, but sleeps for a tenth of a second when the answer is no.
    waiter: asyncio.Future[object] | None = task._fut_waiter  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    return waiter is not None and not waiter.done()


def has_ready_callbacks(loop: asyncio.BaseEventLoop) -> bool:
    """Whether the loop has callbacks to run in its next turn."""
    return len(cast("Sized", loop._ready)) > 0  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public name


def next_timer(loop: asyncio.BaseEventLoop) -> float | None:
    """The moment of the loop's next timer (s by its clock), None without one.

    The timeout with which the loop calls its selector says the same, but only after a subtraction that rounds.
    """
    timers: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    return timers[0].when() if timers else None


def set_resolution(loop: asyncio.BaseEventLoop, seconds: float) -> None:
    """Set by how much a timer may be early: the loop fires timers that are due before `time() + seconds`."""
    loop._clock_resolution = seconds  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public name


def awaits_subprocess(thread: threading.Thread) -> bool:
    """Whether this is a thread in which asyncio waits for the end of a subprocess."""
    return "waitpid-" in thread.name

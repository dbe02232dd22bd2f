"""Insides of asyncio: what a task waits for, and the queue and the timers of an event loop."""

from __future__ import annotations

import _socket
import asyncio
import threading
from collections.abc import Sized
from typing import cast


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

"""Run the user's code in a separate asyncio task, which can be cancelled with a reason."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import anyio

from codeq_client._api.clock import Clock, sleep_or

_log = logging.getLogger("codeq_client.worker")

Caught: TypeAlias = "tuple[Any, BaseException | None]"
"""What the user's code returned, or None and what it raised."""


def is_interrupt(error: BaseException) -> bool:
    """Return whether the error is a Ctrl-C. Any other exception of the user's code is only a failure of that code."""
    is_main = threading.current_thread() is threading.main_thread()
    return (
        isinstance(error, KeyboardInterrupt)
        and is_main
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def text_of(value: object) -> str:
    """Return the text of an error or another value; that of a broken one cannot be read."""
    try:
        return str(value)
    except BaseException as broken:  # noqa: BLE001 - the user's code
        return f"(no text: {type(broken).__name__})"


class CancelledWithin(Exception):
    """The code ended with a `CancelledError` that the worker did not cause: something it awaited was cancelled."""


class Cancellable:
    """Runs one piece of code. `cancel` cancels it; its `CancelledError` then carries the reason.

    The code runs in a separate task, so that its cancellations never reach the worker. It is cancelled once and may
    await while it cleans up; if it runs on, it is cancelled again every `interval` seconds, and `on_ignored` is called
    once.
    """

    def __init__(self, clock: Clock, interval: float, on_ignored: Callable[[], None]) -> None:
        self._clock = clock
        self._interval = interval
        self._on_ignored = on_ignored
        self._task: asyncio.Task[Any] | None = None
        self._reason: Exception | None = None
        self._repeating: asyncio.Task[None] | None = None

    def cancel(self, reason: Exception) -> bool:
        """Cancel the code, whether it runs or has not started yet. The first reason stays.

        Return whether it runs, and was not cancelled before.
        """
        if self._reason is not None:
            return False
        self._reason = reason
        self._cancel_task()
        return self._task is not None and not self._task.done()

    async def run(self, code: Callable[[], Awaitable[Any]]) -> Caught:
        """Return what `code()` returns or raises. If it was cancelled, the error is the reason, or `CancelledWithin`.

        If the caller is cancelled, so is the code, and its end is awaited.
        """
        task = self._task = asyncio.create_task(caught(code))
        if self._reason is not None:
            self._cancel_task()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as cancelled:
            self.cancel(self._reason or RuntimeError("the worker was cancelled"))
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})
            raise cancelled from None
        if task.cancelled():
            return None, self._reason or CancelledWithin("something that the handler awaited was cancelled")
        outcome: Caught = task.result()
        return outcome

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel(self._reason)
            self._repeating = asyncio.create_task(self._repeat(self._task))

    async def _repeat(self, task: asyncio.Task[Any]) -> None:
        """Cancel the code again and again until it ends."""
        ignored = 0
        while not await sleep_or(self._clock, self._interval, partial(asyncio.wait, {task})):
            ignored += 1
            if ignored == 1:
                self._on_ignored()
            if ignored & (ignored - 1) == 0:  # 1, 2, 4, 8 times: a stuck thread may stay for days
                _log.warning("a handler does not end, and is cancelled again: %s", self._reason)
            task.cancel(self._reason)


async def caught(code: Callable[[], Awaitable[Any]]) -> Caught:
    """Return what the code returns or raises: a `SystemExit` in an asyncio task, for example, ends the event loop."""
    try:
        return await code(), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        return None, error

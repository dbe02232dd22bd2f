"""Run the user's code in a separate asyncio task, which can be cancelled with a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio

from codeq_client._api.clock import Clock, sleep_or

_log = logging.getLogger("codeq_client.worker")

ENDINGS = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""Exceptions that end a worker. Any other exception of the user's code is only a failure of that code."""


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

    def cancel(self, reason: Exception) -> None:
        """Cancel the code, whether it runs or has not started yet. The first reason stays."""
        if self._reason is None:
            self._reason = reason
            self._cancel_task()

    async def run(self, code: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - the code's return value
        """Return what `code()` returns; raise what it raises, or the reason for which it was cancelled.

        Raises `CancelledWithin`. If the caller is cancelled, so is the code, and its end is awaited.
        """
        task = self._task = asyncio.create_task(catch_exit(code))
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
            raise self._reason or CancelledWithin("something that the handler awaited was cancelled")
        return result_of(task)

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


async def catch_exit(code: Callable[[], Awaitable[Any]]) -> tuple[Any, SystemExit | None]:
    """Return a `SystemExit` instead of raising it, because it would end the event loop; `result_of` raises it."""
    try:
        return await code(), None
    except SystemExit as error:
        return None, error


def result_of(task: asyncio.Future[tuple[Any, SystemExit | None]]) -> Any:  # noqa: ANN401 - the code's return value
    """Return what the code of a `catch_exit` task returned, or raise what it raised."""
    returned, exited = task.result()
    if exited is not None:
        raise exited
    return returned

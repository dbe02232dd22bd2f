"""The user's code in a task of its own, which can be told to end."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from codeq_client._api.clock import sleep_or

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_client._api.clock import Clock

_log = logging.getLogger("codeq_client.worker")

ENDINGS = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What ends a worker. Whatever else the user's code raises, `Exception` or not, is a failure of that code alone."""


class CancelledWithin(Exception):  # what happened, as the contract's errors
    """The code ended with a `CancelledError` that was none of ours: something that it awaited had been cancelled."""


class Cancellable:
    """Runs one piece of code. `cancel` tells it to end; its `CancelledError` then carries the reason.

    In a task of its own, so that what the code cancels never reaches the worker. It is told once and may await while
    it cleans up; when it runs on, it is told again every `patience` seconds.
    """

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._task: asyncio.Task[Any] | None = None
        self._reason: Exception | None = None
        self._insisting: asyncio.Task[None] | None = None

    def cancel(self, reason: Exception) -> None:
        """Tell the code to end, be it running or not begun yet. The first reason stays."""
        if self._reason is None:
            self._reason = reason
            self._tell()

    async def run(self, code: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401  # what the code returns
        """Return what `code()` returns, and raise what it raises, or the reason for which it was told to end.

        Raises `CancelledWithin`. When the caller is cancelled, so is the code, and its end is awaited.
        """
        task = self._task = asyncio.create_task(contained(code))
        if self._reason is not None:
            self._tell()
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

    def _tell(self) -> None:
        if self._task is not None:
            self._task.cancel(self._reason)
            self._insisting = asyncio.create_task(self._insist(self._task))

    async def _insist(self, task: asyncio.Task[Any]) -> None:
        while not await sleep_or(self._clock, self._patience, partial(asyncio.wait, {task})):
            _log.warning("a handler does not end, and is told again: %s", self._reason)
            task.cancel(self._reason)


async def contained(code: Callable[[], Awaitable[Any]]) -> tuple[Any, SystemExit | None]:
    """Keep a `SystemExit` from the event loop, which it would end; `result_of` a task of this raises it."""
    try:
        return await code(), None
    except SystemExit as error:
        return None, error


def result_of(task: asyncio.Future[tuple[Any, SystemExit | None]]) -> Any:  # noqa: ANN401  # what the code returned
    """Return what the code of a `contained` task returned, or raise what it raised."""
    returned, exited = task.result()
    if exited is not None:
        raise exited
    return returned

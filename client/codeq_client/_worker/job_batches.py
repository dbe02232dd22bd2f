"""Batch handlers: a function that takes several jobs of one command at once, and returns a result for each."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from codeq_client._api.arguments import check_number
from codeq_client._api.clock import Clock, sleep_or
from codeq_client._compat.signatures import signature
from codeq_client.errors import ConfigurationError

from .cancellation import Caught, caught
from .job import Job, current_task
from .outcomes import Complete, Outcome

P = TypeVar("P")
R = TypeVar("R")
Q = ParamSpec("Q")


def in_batches(
    size: int, *, within: float = 0.1
) -> Callable[
    [Callable[Concatenate[Sequence[Job[P]], Q], Awaitable[Sequence[R | Complete | Outcome]]]],
    Callable[Concatenate[Job[P], Q], Awaitable[R | Complete | Outcome]],
]:
    """Return a decorator that makes a handler of an async function of several jobs.

    The function is called with up to `size` jobs of its command, `within` seconds after the first of them was claimed
    or as soon as there are enough. It returns a result or an outcome for each job, in their order. What it raises
    counts for all of them. Each job takes one of the worker's slots, so a batch has at most as many jobs as those.

    Each job keeps its own lease. One that is lost drops the result of its job. The function is cancelled when no job of
    its batch is left.
    """
    check_number(size, "the size of a batch", least=1, is_whole=True)
    check_number(within, "within")
    return partial(BatchFunction, size, within)  # type: ignore[return-value]  # calling one does what is promised


class BatchFunction:
    """A handler made of a function of several jobs. Called by itself, as in a test, it handles a batch of one job."""

    def __init__(self, size: int, within: float, function: Callable[..., Awaitable[Sequence[Any]]]) -> None:
        parameters = signature(function).parameters.values()
        needed = [p for p in parameters if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
        if len(needed) != 1 or not inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"{function!r} must be an async function of a list of jobs to handle batches")
        functools.update_wrapper(self, function)  # its parameters and types, for dependencies
        self.size = size
        self.within = within
        self.function = function

    async def __call__(self, job: Job[Any], **dependencies: Any) -> Any:  # noqa: ANN401 - the user's
        """Handle one job."""
        (result,) = await self.function([job], **dependencies)
        return result


class JobBatches:
    """The batches of one handler in one run of a worker. Called with a job, it returns the result of that job."""

    def __init__(self, handler: BatchFunction, dependencies: dict[str, Any], clock: Clock) -> None:
        self._handler = handler
        self._function = partial(handler.function, **dependencies)
        self._clock = clock
        self._latest: _Batch | None = None

    async def __call__(self, job: Job[Any]) -> Any:  # noqa: ANN401 - the user's
        """Let the job join the open batch, or begin one."""
        batch = self._latest
        if batch is None or not batch.is_open:
            batch = self._latest = _Batch(self._handler, self._function, self._clock)
        return await batch.add(job)


class _Batch:
    """Jobs that are handled together."""

    def __init__(
        self, handler: BatchFunction, function: Callable[[Sequence[Job[Any]]], Awaitable[Sequence[Any]]], clock: Clock
    ) -> None:
        self.is_open = True
        self._handler = handler
        self._function = function
        self._clock = clock
        self._jobs: dict[str, Job[Any]] = {}
        self._waiting = 0
        """How many jobs have not been cancelled."""
        self._full = asyncio.Event()
        self._work: asyncio.Task[Caught] = asyncio.create_task(caught(self._handle))

    async def add(self, job: Job[Any]) -> Any:  # noqa: ANN401 - the user's
        """Add a job, and return its result, or raise the function's error."""
        self._jobs[job.id] = job
        if len(self._jobs) == self._handler.size:
            self.is_open = False
            self._full.set()
        self._waiting += 1
        try:
            results, error = await asyncio.shield(self._work)
        except asyncio.CancelledError as cancelled:
            await self._leave(job, cancelled)
            raise
        if error is not None:
            raise error
        return results[job.id]

    async def _leave(self, job: Job[Any], cancelled: asyncio.CancelledError) -> None:
        """Take a cancelled job out. After the last one, cancel the function and wait for its end."""
        if self.is_open:
            del self._jobs[job.id]
        self._waiting -= 1
        while not self._waiting and not self._work.done():
            self.is_open = False
            self._work.cancel(*cancelled.args)
            with suppress(asyncio.CancelledError):  # the job is cancelled again and again until it ends
                await asyncio.wait({self._work})

    async def _handle(self) -> dict[str, Any]:
        """Call the function when the batch is full or its time is over; return the results by the ids of the jobs."""
        current_task.set(None)  # it works on several
        await sleep_or(self._clock, self._handler.within, self._full.wait)
        self.is_open = False
        jobs = list(self._jobs.values())
        results: Any = await self._function(jobs)  # a user's code may be unchecked
        if not isinstance(results, Sequence) or len(results) != len(jobs):
            raise TypeError(f"the batch handler must return a list of {len(jobs)} results, not {results!r:.80}")
        return dict(zip(self._jobs, results, strict=True))

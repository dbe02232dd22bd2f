"""Middleware: code that runs around every handler, and the ready-made `keep_first_result`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from codeq_client._api.client import CodeQ
from codeq_client._task import Status
from codeq_client.errors import ResultNotFound

from .job import Job, TaskContext
from .outcomes import Complete, Fail

Next: TypeAlias = Callable[[Job[Any], TaskContext], Awaitable[Any]]
"""What a middleware calls to run the rest: `await call_next(job, context)`."""


class Middleware(Protocol):
    """Code around a handler: `async def around(job, context, call_next)`, which returns the handler's return value."""

    def __call__(self, job: Job[Any], context: TaskContext, /, call_next: Next) -> Awaitable[Any]:
        """Call `await call_next(job, context)`, or do not."""
        ...


def keep_first_result(codeq: CodeQ) -> Middleware:
    """Return middleware that ends a redelivered, finished task with its first result, without calling its handler.

    The real server sometimes delivers a finished task again (Z1). Without this middleware the handler runs again, with
    `job.was_finished` true, and its result replaces the first one.
    """

    async def around(job: Job[Any], context: TaskContext, /, call_next: Next) -> Any:  # noqa: ANN401 - the handler's
        if not job.was_finished:
            return await call_next(job, context)
        try:
            record = (await codeq.result(job.id)).record
        except ResultNotFound:
            return await call_next(job, context)
        if record.status == Status.FAILED:
            return Fail(record.error, record.artifacts)
        return Complete(record.result, record.artifacts)

    return around

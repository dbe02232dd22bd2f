"""Middleware for finished tasks that are delivered again, which the real server does now and then (Z1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeq_client._api.models import Status
from codeq_client.errors import ResultNotFound

from .outcomes import Complete, Fail

if TYPE_CHECKING:
    from codeq_client._api.client import CodeQ

    from .handlers import Middleware, Next
    from .job import Job, TaskContext


def keep_first_result(codeq: CodeQ) -> Middleware:
    """Return middleware that ends a repeated task as it ended before, without calling its handler.

    Without it a handler runs again, with `job.is_repeat` true, and its result replaces the first.
    """

    async def around(job: Job[Any], context: TaskContext, /, call_next: Next) -> Any:  # noqa: ANN401  # the handler's
        if not job.is_repeat:
            return await call_next(job, context)
        try:
            record = (await codeq.result(job.id)).record
        except ResultNotFound:
            return await call_next(job, context)
        if record.status == Status.FAILED:
            return Fail(record.error, record.artifacts)
        return Complete(record.result, record.artifacts)

    return around

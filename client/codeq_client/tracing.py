"""Traces by OpenTelemetry: a span around each handler, linked to where its task was created. Needs `codeq-fake[otel]`.

Producers pass `trace_parent=current_trace_parent()` to `create`, workers get `middleware=[trace_tasks()]`.
The server must have tracing enabled, else it keeps no trace of a task (X1).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from codeq_client._worker.outcomes import Abandon, Fail, Outcome, Retry

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

    from codeq_client._api.models import Task
    from codeq_client._worker.handlers import Middleware, Next
    from codeq_client._worker.job import Job, TaskContext

_SAID = {Retry: "retry", Fail: "fail", Abandon: "abandon"}


def current_trace_parent() -> str:
    """Return the `traceparent` of the current span, empty when there is none."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def trace_tasks(provider: TracerProvider | None = None) -> Middleware:
    """Return middleware that puts each handler into a span of `provider`, or of the process's global one.

    The span is the current one while the handler runs, also on a thread. It links to the trace of the task's creator
    rather than being part of it: a task may run hours later, and more than once.
    """
    tracer = trace.get_tracer("codeq_client", tracer_provider=provider)

    async def around(job: Job[Any], context: TaskContext, /, call_next: Next) -> Any:  # noqa: ANN401  # the handler's
        with tracer.start_as_current_span(
            f"process {job.command}",
            kind=SpanKind.CONSUMER,
            links=_links(job.task),
            attributes=_attributes(job.task),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                returned = await call_next(job, context)
            except (Exception, asyncio.CancelledError) as error:
                _note(span, error, context)
                raise
            _note(span, returned, context)
            return returned

    return around


def _links(task: Task) -> list[Link]:
    carrier = {"traceparent": task.trace_parent, "tracestate": task.trace_state}
    creator = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    return [Link(creator)] if task.trace_parent and creator.is_valid else []


def _attributes(task: Task) -> dict[str, str | int]:
    return {
        "messaging.system": "codeq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": task.command,
        "messaging.message.id": task.id,
        "codeq.attempts": task.attempts,
    }


def _note(span: Span, ended_with: object, context: TaskContext) -> None:
    """Note on the span how the handler ended: with a value, an outcome, an error, or because it was told to."""
    if isinstance(ended_with, asyncio.CancelledError):
        said = context.end.value if context.end else "cancelled"
    elif isinstance(ended_with, Outcome):
        said = _SAID.get(type(ended_with), "outcome")
    else:
        said = "error" if isinstance(ended_with, Exception) else "complete"
    span.set_attribute("codeq.outcome", said)
    if isinstance(ended_with, Exception) and not isinstance(ended_with, Outcome):
        span.record_exception(ended_with)
    if said not in {"complete", "abandon", "retry"}:
        span.set_status(StatusCode.ERROR, str(ended_with) or said)

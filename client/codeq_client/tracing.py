"""OpenTelemetry traces: a span for each handler, linked to the creator of its task. Needs `codeq-client[otel]`.

Producers pass `trace_parent=current_trace_parent()` to `create`, workers get `middleware=[trace_tasks()]`.
The server must have tracing enabled, otherwise it stores no trace with a task (X1).
"""

from __future__ import annotations

import asyncio
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, TraceFlags, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from codeq_client._task import Task
from codeq_client._worker.job import Job, TaskContext
from codeq_client._worker.middleware import Middleware, Next
from codeq_client._worker.outcomes import Abandon, Fail, Outcome, Retry

_OUTCOMES = {Retry: "retry", Fail: "fail", Abandon: "abandon"}


def current_trace_parent() -> str:
    """Return the `traceparent` of the current span, or "" without one.

    It has no flag but `sampled`. The server begins a new trace where there are others (X1), as newer versions of
    OpenTelemetry set them.
    """
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    flags = context.trace_flags & TraceFlags.SAMPLED
    return f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}-{flags:02x}"


def trace_tasks(provider: TracerProvider | None = None) -> Middleware:
    """Return middleware that runs each handler in a span of `provider`, by default the global one.

    It is the current span while the handler runs, also on a thread. It links to the trace of the task's creator and is
    not part of that trace: a task may run hours later, and more than once.
    """
    tracer = trace.get_tracer("codeq_client", tracer_provider=provider)

    async def around(job: Job[Any], context: TaskContext, /, call_next: Next) -> Any:  # noqa: ANN401 - the handler's
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
                _record_end(span, error, context)
                raise
            _record_end(span, returned, context)
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


def _record_end(span: Span, ended_with: object, context: TaskContext) -> None:
    """Record on the span how the handler ended: with a value, an outcome, an error, or a cancellation."""
    if isinstance(ended_with, asyncio.CancelledError):
        outcome = context.end.value if context.end else "cancelled"
    elif isinstance(ended_with, Outcome):
        outcome = _OUTCOMES.get(type(ended_with), "outcome")
    else:
        outcome = "error" if isinstance(ended_with, Exception) else "complete"
    span.set_attribute("codeq.outcome", outcome)
    if isinstance(ended_with, Exception) and not isinstance(ended_with, Outcome):
        span.record_exception(ended_with)
    if outcome not in {"complete", "abandon", "retry"}:
        span.set_status(StatusCode.ERROR, str(ended_with) or outcome)

"""Handlers: create one task or several (R1, R2)."""

from __future__ import annotations

from typing import Any

from codeq_fake import wire
from codeq_fake.core import Task
from codeq_fake.core.errors import Refused
from codeq_fake.journal import TouchedTask

from . import bodies, rendering
from .long_texts import LongTexts
from .rejections import reasons_of, status_and_text
from .replies import Reply
from .request import Call


def create(call: Call) -> Reply:
    """R1: create a task (C1)."""
    fields = call.decode(bodies.CREATE)
    if not fields.get("command") or "payload" not in fields:
        raise wire.BadBody
    task = _create(call, fields)
    return rendering.task_reply(task, call.zone, 202, (TouchedTask.of(task),))


def create_batch(call: Call) -> Reply:
    """R2: create several tasks. Each item is answered with its task or its error (C9)."""
    outcomes = [_outcome(call, item) for item in bodies.batch(call.decode(bodies.CREATE_BATCH))]
    long = LongTexts()
    results = ",".join(_result(call, outcome, long) for outcome in outcomes)
    created = tuple(TouchedTask.of(outcome) for outcome in outcomes if isinstance(outcome, Task))
    return long.reply(f'{{"results":[{results}]}}', tasks=created, reason=reasons_of(outcomes))


def _outcome(call: Call, item: dict[str, Any]) -> Task | Refused:
    try:
        return _create(call, item)
    except Refused as refusal:
        return refusal


def _result(call: Call, outcome: Task | Refused, long: LongTexts) -> str:
    if isinstance(outcome, Refused):
        _, text = status_and_text(outcome, "create")
        return f'{{"error":{wire.quote(text)}}}'
    return f'{{"task":{rendering.task(outcome, call.zone, long)}}}'


def _create(call: Call, fields: dict[str, Any]) -> Task:
    arguments = bodies.arguments(fields)
    if call.broker.settings.tracing_enabled:
        arguments["trace_parent"] = call.header(b"traceparent")
        arguments["trace_state"] = call.header(b"tracestate")
    return call.broker.create(tenant=call.caller.tenant, now=call.now, **arguments)

"""Handlers: create one task or several (R1, R2)."""

from __future__ import annotations

from typing import Any

from codeq_fake import wire
from codeq_fake.core import Task
from codeq_fake.core.errors import Refused
from codeq_fake.journal import TouchedTask

from . import bodies, rendering
from .long_texts import LongTexts
from .rejections import status_and_text
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
    long = LongTexts()
    results: list[str] = []
    reasons: list[str] = []
    created: list[TouchedTask] = []
    for n, item in enumerate(bodies.batch(call.decode(bodies.CREATE_BATCH)), start=1):
        try:
            task = _create(call, item)
        except Refused as refusal:
            _, text = status_and_text(refusal, "create")
            results.append(f'{{"error":{wire.quote(text)}}}')
            reasons.append(f"item {n}: {refusal}")
        else:
            results.append(f'{{"task":{rendering.task(task, call.zone, long)}}}')
            created.append(TouchedTask.of(task))
    return long.reply(f'{{"results":[{",".join(results)}]}}', tasks=tuple(created), reason=" ".join(reasons))


def _create(call: Call, fields: dict[str, Any]) -> Task:
    arguments = bodies.arguments(fields)
    if call.broker.settings.tracing_enabled:
        arguments["trace_parent"] = call.header(b"traceparent") or ""
        arguments["trace_state"] = call.header(b"tracestate") or ""
    return call.broker.create(tenant=call.caller.tenant, now=call.now, **arguments)

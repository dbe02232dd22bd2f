"""Handlers: read a task or its result (R12, R13)."""

from __future__ import annotations

from . import rendering
from .long_texts import LongTexts
from .replies import Reply
from .request import Call


def get(call: Call) -> Reply:
    """R12: read a task (S8)."""
    return rendering.task_reply(call.broker.get(call.params["id"]), call.zone)


def result(call: Call) -> Reply:
    """R13: read a task and its result (S7)."""
    task, record = call.broker.result(call.params["id"])
    long = LongTexts()
    written, finished = rendering.record(record, call.zone, long), rendering.task(task, call.zone, long)
    return long.reply(f'{{"result":{written},"task":{finished}}}')

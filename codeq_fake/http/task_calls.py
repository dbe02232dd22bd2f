"""Handlers: read a task or its result (R12, R13)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from codeq_fake.core import errors
from codeq_fake.wire import read_back

from . import rendering
from .limits import LONGEST_RESULT_WAIT, RESULT_INTERVAL
from .long_texts import LongTexts
from .replies import Reply, Wait
from .request import Call

#: Of Go's integers.
_LARGEST = 2**63 - 1
_MOST_DIGITS = len(str(_LARGEST))


def get(call: Call) -> Reply:
    """R12: read a task (S8)."""
    return rendering.task_reply(call.broker.get(call.params["id"]), call.zone)


def result(call: Call) -> Reply | Wait:
    """R13: read a task and its result (S7), and wait for that if the request says so (G1)."""
    can_wait = call.broker.profile.version.waits_for_results
    seconds = _seconds(call.query("waitSeconds")) if can_wait else 0
    if not seconds:
        return _result(call)

    def attempt(_now: int) -> Reply | None:
        with suppress(errors.ResultNotFound):
            return _result(call)
        return None

    return Wait(attempt, seconds, RESULT_INTERVAL, lambda _now: _result(call))


def _seconds(text: str) -> int:
    """For how long a request waits, as Go reads it: what is no 64-bit integer counts as 0 (G1)."""
    digits = text.removeprefix("+").lstrip("0")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > _MOST_DIGITS or int(digits) > _LARGEST:
        return 0
    return min(int(digits), LONGEST_RESULT_WAIT)


def _result(call: Call) -> Reply:
    """The reply with a task and its result, which is read back from the server's store (S7)."""
    task, record = call.broker.result(call.params["id"])
    read = record.result and read_back(record.result)
    if read is not record.result:
        record = replace(record, result=read)
    long = LongTexts()
    written, finished = rendering.record(record, call.zone, long), rendering.task(task, call.zone, long)
    return long.reply(f'{{"result":{written},"task":{finished}}}')

"""Waiting for a task's result: how often the task is read, and how a wait ends."""

from __future__ import annotations

import functools
import math
from types import UnionType
from typing import Any, Protocol, TypeVar, overload

from codeq_client._task import Task
from codeq_client.errors import ResultNotFound, TaskDead, TaskFailed, Unavailable, WaitTimeout

from . import calls
from .arguments import check_number
from .conversion import from_json
from .retries import Core, Flow, Pause

R = TypeVar("R")

_FIRST_POLL = 0.1
_LONGEST_POLL = 2.0
#: After a long wait the poll interval may grow: to this part of the time waited, and to at most `_LONGEST_PAUSE` s.
_PART_OF_WAIT = 1 / 50
_LONGEST_PAUSE = 30.0


class Waker(Protocol):
    """Reports that a task has ended, earlier than the next poll would: a `WebhookReceiver`."""

    async def ended(self, task_id: str) -> None:
        """Return once the task has ended."""
        ...


@overload
def wait_for_result(
    core: Core, task_id: str, timeout: float = ..., *, kind: UnionType | None = ..., wake: Waker | None = ...
) -> Flow[Any]: ...
@overload
def wait_for_result(
    core: Core, task_id: str, timeout: float = ..., *, kind: type[R], wake: Waker | None = ...
) -> Flow[R]: ...
def wait_for_result(
    core: Core,
    task_id: str,
    timeout: float = 60,
    *,
    kind: Any = None,  # a type or a union, as the overloads say
    wake: Waker | None = None,
) -> Flow[Any]:
    """Wait until a task is completed and return its result, as a `kind` if one is given.

    Polls at intervals that grow up to 2 s (up to 30 s after many minutes) and start again when the task is claimed or
    given back. With a `WebhookReceiver` as `wake`, at the task's webhook, it returns as soon as the callback arrives
    (not for the blocking client). Raises `TaskFailed`, `TaskDead` for a dead letter, `WaitTimeout` after `timeout`
    seconds, and a refusal of the server at once. An outage is waited out; its error is raised if it lasts until the
    timeout.
    """
    check_number(timeout, "timeout")
    changed = core.clock.monotonic()
    deadline = changed + timeout
    pause, seen = _FIRST_POLL, ("", 0)
    task: Task | None = None
    while True:
        is_last = core.clock.monotonic() >= deadline
        try:
            task = yield from core.send(calls.get(task_id), retries=math.inf, deadline=deadline)
        except Unavailable:
            if not is_last or task is None:
                raise
            # Only the last read failed, which has but a second: with many waiters at once that is no outage.
            raise WaitTimeout(task, timeout) from None
        if task.ended:
            value = yield from _result_of(core, task, deadline)
            return value if kind is None else from_json(kind, value)
        now = core.clock.monotonic()
        left = deadline - now
        if left <= 0:
            raise WaitTimeout(task, timeout)
        if seen != (task.status, task.attempts):
            pause, seen, changed = _FIRST_POLL, (task.status, task.attempts), now
        yield Pause(min(pause, left), functools.partial(wake.ended, task_id) if wake else None)
        pause = min(pause * 1.5, max(_LONGEST_POLL, (now - changed) * _PART_OF_WAIT), _LONGEST_PAUSE)


def _result_of(core: Core, task: Task, deadline: float) -> Flow[Any]:
    if task.dead:
        raise TaskDead(task, task.error)  # N4: it has no result
    try:
        record = (yield from core.send(calls.result(task.id), retries=math.inf, deadline=deadline)).record
    except ResultNotFound:
        raise TaskFailed(task, task.error or "it has no result") from None
    if record.status != "COMPLETED":
        raise TaskFailed(task, record.error)
    return record.result

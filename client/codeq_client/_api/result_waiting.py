"""Waiting for a task's result: at the server where it can wait (G1), otherwise by reading the task at intervals."""

from __future__ import annotations

import functools
import math
from types import UnionType
from typing import Any, Protocol, TypeVar, overload

from codeq_client._task import Task
from codeq_client.errors import (
    CertificateError,
    NoFreeConnection,
    RateLimited,
    ResultNotFound,
    ServerError,
    TaskDead,
    TaskFailed,
    Unavailable,
    WaitTimeout,
)

from . import calls
from .arguments import check_number
from .json_values import from_json
from .models import Finished, Record
from .sending import Core, Flow, Pause

R = TypeVar("R")

_FIRST_POLL = 0.1
"""Seconds between two reads of the task; they grow by `_GROWTH` each time."""
_GROWTH = 1.5
_LONGEST_POLL = 2.0
_SERVER_WAIT = 5.0
"""For how long the server waits, in seconds. A dead letter has no result, so only a read of the task shows it."""
_SHORTEST_OUTAGE = 5.0
"""How many seconds a read must stay unanswered to count as an outage, once an earlier read was answered."""
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

    A server that can wait for a result (CodeQ's main branch) does so, 5 s a request and longer after many minutes, and
    then a result is returned at once. The client finds out by its first such request. On others (v0.3.3), and for
    more than 25 waits at a time, it reads the task at intervals that grow up to 2 s (up to 30 s after many minutes) and
    start again when the task is claimed or given back. With a `WebhookReceiver` as `wake`, at the task's webhook, it
    returns as soon as the callback arrives (not for the blocking client).

    Raises `TaskFailed`, `TaskDead` for a dead letter, `WaitTimeout` after `timeout` seconds, and a refusal of the
    server at once. An outage is waited out; its error is raised if it lasts for 5 s, and until the timeout.
    """
    check_number(timeout, "timeout")
    value = yield from _result_at_end(core, task_id, timeout, wake)
    return value if kind is None else from_json(kind, value)


def _result_at_end(core: Core, task_id: str, timeout: float, wake: Waker | None) -> Flow[Any]:
    """Wait until a task has ended and return its result."""
    changed = core.clock.monotonic()
    deadline = changed + timeout
    pause, seen = _FIRST_POLL, ("", 0)
    task: Task | None = None
    while True:
        asked = core.clock.monotonic()
        try:
            task = yield from core.send(calls.get(task_id), retries=math.inf, deadline=deadline)
        except Unavailable as error:
            # With many waiters at once, a read waits for a connection, or has little time before the deadline. Neither
            # is an outage.
            lasts = core.clock.monotonic() - asked > min(_SHORTEST_OUTAGE, timeout / 2)
            is_outage = lasts and asked < deadline and not isinstance(error, NoFreeConnection)
            if is_outage or task is None or isinstance(error, CertificateError):
                raise
            raise WaitTimeout(task, timeout) from None
        if task.ended:
            return (yield from _result_of(core, task, deadline))
        now = core.clock.monotonic()
        left = deadline - now
        if left <= 0:
            raise WaitTimeout(task, timeout)
        if seen != (task.status, task.attempts):
            pause, seen, changed = _FIRST_POLL, (task.status, task.attempts), now
        after_long = min((now - changed) * _PART_OF_WAIT, _LONGEST_PAUSE)
        # A second is left for the way there and back. With `wake` a callback tells of the end.
        seconds = 0 if wake else int(min(max(_SERVER_WAIT, after_long), left - 1))
        try:
            finished = yield from _at_server(core, task_id, seconds)
        except ResultNotFound:
            continue
        if finished is not None:
            return _value_of(finished.task, finished.record)
        yield Pause(min(pause, left), functools.partial(wake.ended, task_id) if wake else None)
        pause = min(pause * _GROWTH, max(_LONGEST_POLL, after_long))


def _at_server(core: Core, task_id: str, seconds: int) -> Flow[Finished | None]:
    """Let the server wait for a result. Raises `ResultNotFound` after so many seconds.

    Returns None if the server cannot wait, and in an outage: the next read waits that out.
    """
    if seconds <= 0 or not core.long_polls.are_possible:
        return None
    began = core.clock.monotonic()
    with core.long_polls.counted():
        try:
            return (yield from core.send(calls.result(task_id, wait=seconds), retries=0))
        except ResultNotFound:
            core.long_polls.judge(asked=seconds, took=core.clock.monotonic() - began)
            if not core.long_polls.are_missing:
                raise
        except (Unavailable, ServerError, RateLimited):
            pass
    return None


def _result_of(core: Core, task: Task, deadline: float) -> Flow[Any]:
    """Return the result of a task that has ended."""
    if task.dead:
        raise TaskDead(task, task.error)  # N4: it has no result
    try:
        record = (yield from core.send(calls.result(task.id), retries=math.inf, deadline=deadline)).record
    except ResultNotFound:
        raise TaskFailed(task, task.error or "it has no result") from None
    return _value_of(task, record)


def _value_of(task: Task, record: Record) -> Any:  # noqa: ANN401 - as the worker returned it
    if record.status != "COMPLETED":
        raise TaskFailed(task, record.error)
    return record.result

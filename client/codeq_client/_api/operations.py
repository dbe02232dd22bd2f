"""The client's operations, once for the asynchronous and the blocking client: each is a flow over one or more calls."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from codeq_client.errors import CodeQError, ResultNotFound, TaskDead, TaskFailed, WaitTimeout

from . import batches, calls, settlement
from .models import (
    Artifact,
    Batch,
    Cleanup,
    Finished,
    NewTask,
    QueueStats,
    Record,
    Requeued,
    Submission,
    Subscription,
    Task,
)
from .retries import Core, Flow, Pause
from .structure import structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from types import UnionType

R = TypeVar("R")

_FIRST_POLL = 0.1
_LONGEST_POLL = 2.0
#: Who has waited for long need not know to the second: the pause may be this part of it, up to _LONGEST_PAUSE (s).
_PART_OF_WAIT = 1 / 50
_LONGEST_PAUSE = 30.0


class Waker(Protocol):
    """What can tell that a task has ended before the next poll would: a `WebhookReceiver`."""

    async def ended(self, task_id: str) -> None:
        """Return once the task has ended."""
        ...


def create(  # the server's fields
    core: Core,
    command: str,
    payload: Any,  # noqa: ANN401  # any JSON value, dataclass, attrs object or pydantic model
    *,
    priority: int = 0,
    webhook: str = "",
    max_attempts: int = 0,
    delay: float | timedelta = 0,
    run_at: datetime | None = None,
    idempotency_key: str | None = None,
    trace_parent: str = "",
) -> Flow[Task]:
    """Create a task (R1) and return it as the server accepted it.

    `payload` may be any JSON value but null, a dataclass, an attrs object or a pydantic model. `priority` runs from
    0 to 9, 9 first. `max_attempts` 0 is the server's default. `delay` is in seconds or a `timedelta`; `run_at` needs
    a time zone. The task may come up to a second sooner (C7).

    Each call gets an idempotency key of its own, so it is safely retried. With a key of yours the same task is
    returned for 24 hours, as it is then (C8); with "" there is none, and no retry. `trace_parent` is a `traceparent`
    header: `codeq_client.tracing.current_trace_parent()`.

    Raises `EncodeError` for what JSON or the server would change, and the errors of `codeq_client.errors`.
    """
    new = NewTask(
        command=command,
        payload=payload,
        priority=priority,
        webhook=webhook,
        max_attempts=max_attempts,
        delay=delay,
        run_at=run_at,
        idempotency_key=idempotency_key,
    )
    return core.send(calls.create(new, trace_parent=trace_parent))


def create_batch(core: Core, tasks: Iterable[NewTask], *, trace_parent: str = "") -> Flow[Batch[Task]]:
    """Create many tasks, 100 a request (C9). What was refused is in the answer, at its place, and raises nothing.

    That holds too for an item that cannot be sent at all; the others are. When no request got an answer, it raises.
    """
    return batches.create(core, tuple(tasks), trace_parent)


def claim(core: Core, commands: Sequence[str] = (), *, lease: float = 60, wait: float = 0) -> Flow[Task | None]:
    """Claim one task for `lease` seconds (R3), waiting up to `wait` seconds (30 at most) for one.

    Without `commands`: those of the token's event types (K1). Never retried once sent, for the lost answer may have
    leased a task.
    """
    return core.send(calls.claim(commands, lease=lease, wait=wait))


def claim_batch(core: Core, commands: Sequence[str] = (), *, lease: float = 60, count: int = 10) -> Flow[list[Task]]:
    """Claim up to `count` tasks at once, without waiting (R4), 10 a request.

    An error after the first request ends the batch, but takes no task from you that was claimed.
    """
    claimed: list[Task] = []
    while len(claimed) < count:
        asked = min(count - len(claimed), calls.MAX_CLAIM_BATCH)
        try:
            got = yield from core.send(calls.claim_batch(commands, lease=lease, count=asked))
        except CodeQError:
            if not claimed:
                raise
            break
        claimed += got
        if len(got) < asked:
            break
    return claimed


def heartbeat(core: Core, task_id: str, *, extend: float = 60) -> Flow[None]:
    """Let the lease end `extend` seconds from now, which may be sooner than before (R5, H1).

    An answer without error is no proof of a lease: one that ran out is not revived (H3).
    """
    return core.send(calls.heartbeat(task_id, extend=extend))


def abandon(core: Core, task: Task | str) -> Flow[None]:
    """Give a task back at once, at the cost of no attempt (R6). Given the claimed task, a lost answer is resolved."""
    if isinstance(task, Task):
        return settlement.abandon(core, task, calls.abandon(task.id))
    return core.send(calls.abandon(task))


def nack(core: Core, task: Task | str, *, delay: float | timedelta = 0, reason: str = "") -> Flow[Requeued]:
    """Give a task back to be tried again after `delay`, or the server's backoff (R7), at the cost of an attempt (N2).

    Given the claimed task, a lost answer is resolved.
    """
    if isinstance(task, Task):
        return settlement.nack(core, task, calls.nack(task.id, delay=delay, reason=reason))
    return core.send(calls.nack(task, delay=delay, reason=reason))


def complete(
    core: Core,
    task: Task | str,
    result: Any = None,  # noqa: ANN401  # as a payload
    *,
    artifacts: Sequence[Artifact] = (),
) -> Flow[Record]:
    """End a task as COMPLETED (R8). A result that is no object is wrapped in one, and unwrapped by our readers.

    Given the claimed task, a lost answer is resolved: `LeaseLost` when someone else ended it.
    """
    return settlement.submit(core, task, result, "", artifacts)


def fail(core: Core, task: Task | str, error: str, *, artifacts: Sequence[Artifact] = ()) -> Flow[Record]:
    """End a task as FAILED, for good (R8, S4). To have it tried again, use `nack`."""
    return settlement.submit(core, task, None, error or "unknown error", artifacts)


def submit_batch(core: Core, submissions: Iterable[Submission]) -> Flow[Batch[Record]]:
    """End many tasks, 100 a request (R9). What was refused is in the answer, at its place, as in `create_batch`.

    A lost answer is found out task by task. The server's batch route ignores artifacts and sends no callbacks (S6), so
    that items with artifacts, for tasks with a webhook, and for bare ids go singly.
    """
    return batches.submit(core, tuple(submissions))


def subscribe(  # the server's fields
    core: Core,
    callback_url: str,
    commands: Sequence[str] = (),
    *,
    ttl: float = 300,
    mode: str = "fanout",
    group: str = "",
    min_interval: float = 5,
) -> Flow[Subscription]:
    """Ask for a notice at `callback_url` when a queue gets its first task (R10); `mode`: fanout, group or hash."""
    return core.send(
        calls.subscribe(callback_url, commands=commands, ttl=ttl, mode=mode, group=group, min_interval=min_interval)
    )


def renew_subscription(core: Core, subscription_id: str, *, ttl: float = 300) -> Flow[Subscription]:
    """Let a subscription end `ttl` seconds from now (R11); raises `SubscriptionNotFound`."""
    return core.send(calls.renew_subscription(subscription_id, ttl=ttl))


def get(core: Core, task_id: str) -> Flow[Task]:
    """Return a task as it is now (R12); raises `TaskNotFound`."""
    return core.send(calls.get(task_id))


def result(core: Core, task_id: str) -> Flow[Finished]:
    """Return a finished task and its record (R13); raises `TaskNotFound`, `ResultNotFound`."""
    return core.send(calls.result(task_id))


def queue_sizes(core: Core) -> Flow[dict[str, int]]:
    """Return the sizes of the built-in commands' tenant-less queues (R14, M1). Needs an administrator's token."""
    return core.send(calls.queue_sizes())


def queue_stats(core: Core, command: str) -> Flow[QueueStats]:
    """Return how many tasks of `command` are where (R15). Needs an administrator's token."""
    return core.send(calls.queue_stats(command))


def cleanup(core: Core, *, limit: int = 0, before: datetime | None = None) -> Flow[Cleanup]:
    """Delete up to `limit` (0: 1000) tasks untouched for a day as of `before` (R16). Needs an administrator's token."""
    return core.send(calls.cleanup(limit=limit, before=before))


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
    """Wait until a task is completed and return its result, as a `kind` when one is given.

    Polls, ever more slowly up to every 2 s (every 30 s in the end, after many minutes), and fast again whenever the
    task was claimed or given back; a `WebhookReceiver` as `wake`, at the task's webhook, makes it prompt (not for the
    blocking client). Raises `TaskFailed`, `TaskDead` for a dead letter, `WaitTimeout` after `timeout` seconds, and at
    once what the server refuses. An outage is waited out; one that lasts to the end of `timeout` is raised then.
    """
    moved = core.clock.monotonic()
    deadline = moved + timeout
    pause, seen = _FIRST_POLL, ("", 0)
    while True:
        task = yield from core.send(calls.get(task_id), retries=math.inf, deadline=deadline)
        if task.ended:
            ended = yield from _result_of(core, task, deadline)
            return ended if kind is None else structure(kind, ended)
        now = core.clock.monotonic()
        left = deadline - now
        if left <= 0:
            raise WaitTimeout(task, timeout)
        if seen != (task.status, task.attempts):
            pause, seen, moved = _FIRST_POLL, (task.status, task.attempts), now
        yield Pause(min(pause, left), partial(wake.ended, task_id) if wake else None)
        pause = min(pause * 1.5, max(_LONGEST_POLL, (now - moved) * _PART_OF_WAIT), _LONGEST_PAUSE)


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

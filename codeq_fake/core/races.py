"""The real server's race conditions, made to happen on request: Z1 to Z6, and one that no clause has.

No operation of the contract calls these. Each says whether the race is possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .broker import Broker
from .commands import queue_name
from .queue import Queue
from .task import Event, State, Task
from .times import MILLISECOND

#: Two calls count as sent at the same moment if their effects are no further apart (ns): a server's steps take as long.
_SAME_MOMENT = 5 * MILLISECOND
_FINISHED = (State.COMPLETED, State.FAILED)


def redeliver_finished(broker: Broker, task_id: str, *, now: int) -> bool:
    """Put a second copy of a finished task's id at the tail of its pending list (Z1).

    The claim that takes it makes the task in progress again, and a second result overwrites the first.
    """
    task = broker.get(task_id)
    if task.state not in _FINISHED:
        return False
    _apply_keeping_updated_at(task, Event.COPY, now=now)
    broker.store.queue_for(task).put(task)
    return True


def lose_task(broker: Broker, task_id: str, *, now: int) -> bool:
    """A task is lost (Z2).

    It leaves the set of tasks in progress, in which claims look for expired leases. Its worker can still end it or give
    it back. If the worker dies, the task stays IN_PROGRESS for ever.
    """
    task = broker.get(task_id)
    if task.state is not State.LEASED:
        return False
    _apply_keeping_updated_at(task, Event.LOSE, now=now)
    del broker.store.queue_for(task).in_progress[task.id]
    return True


def revoke_lease(broker: Broker, task_id: str, *, now: int) -> bool:
    """A fresh lease is revoked (Z3): the task is requeued as if its lease had expired, while its worker works on it."""
    task = broker.get(task_id)
    if task.state is not State.LEASED:
        return False
    broker.requeueing.requeue_as_expired(task, Event.REVOKE, now=now)
    return True


def false_empty(broker: Broker, commands: Sequence[str], *, tenant: str, now: int) -> bool:
    """The next claim finds nothing although a task is ready (Z4).

    A duplicate id is put before the task that the claim would take. The claim that takes the duplicate finds this
    priority empty, and goes on to the lower ones and to the next commands.
    """
    for command in commands:
        broker.requeueing.repair(command, tenant, now=now)
    return any(queue.insert_duplicate_id() for queue in _queues(broker, commands, tenant))


def end_false_empty(broker: Broker, commands: Sequence[str], *, tenant: str) -> bool:
    """Remove the duplicate id if no claim has taken it because the claim was refused. Returns whether it was there."""
    return sum(queue.remove_duplicate_id() for queue in _queues(broker, commands, tenant)) > 0


def can_end_twice(broker: Broker, task_id: str, *, now: int) -> bool:
    """Whether a result sent now comes at the same moment as the one that has ended the task (Z5)."""
    task = broker.store.tasks.get(task_id)
    if task is None or task.state not in _FINISHED or task.record is None:
        return False
    return now - task.record.completed_at <= _SAME_MOMENT


def can_undo_end(broker: Broker, task_id: str, *, worker: str, now: int) -> bool:
    """Whether a heartbeat sent now comes at the same moment as the worker's result, which has ended the task.

    The heartbeat reads the task before its end, and writes it afterwards: as it was, in progress, but with its id in no
    set and without a lease. So no claim ever finds it, as after Z2. The result stays. No clause has this race. In 480
    results on v0.3.3, each with a heartbeat up to 2 ms later, it came 11 to 24 times.
    """
    task = broker.store.tasks.get(task_id)
    return can_end_twice(broker, task_id, now=now) and task is not None and task.history[-1].by == worker


def can_make_twice(broker: Broker, key: str, *, now: int) -> bool:
    """Whether a create sent now comes at the same moment as the one that first used the key (Z6)."""
    task = broker.store.tasks.get(broker.keys.find(key, now=now) or "")
    return task is not None and now - task.created_at <= _SAME_MOMENT


@contextmanager
def overlooking(broker: Broker, *, end: str = "", key: str = "") -> Iterator[None]:
    """Let one operation overlook that the task `end` has ended, or that the idempotency `key` was used (Z6).

    A result overlooks an end as in Z5, a heartbeat as in `can_undo_end`.
    """
    broker.overlooked_end, broker.overlooked_key = end, key
    try:
        yield
    finally:
        broker.overlooked_end = broker.overlooked_key = ""


def _queues(broker: Broker, commands: Sequence[str], tenant: str) -> Iterator[Queue]:
    for command in commands:
        queue = broker.store.queues.get((tenant, queue_name(command)))
        if queue is not None:
            yield queue


def _apply_keeping_updated_at(task: Task, event: Event, *, now: int) -> None:
    """Apply an event that changes only lists of ids: the stored task, and so its `updatedAt`, is not written."""
    updated_at = task.updated_at
    task.apply(event, by="", now=now)
    task.updated_at = updated_at

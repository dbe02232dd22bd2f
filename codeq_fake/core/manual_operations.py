"""What a person may do to a task by hand. The contract has no such calls, so nobody is refused for who he is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .task import Event, State

if TYPE_CHECKING:
    from .broker import Broker
    from .task import Task

_ENDED = frozenset({State.COMPLETED, State.FAILED, State.DEAD})


def requeue(broker: Broker, task_id: str, *, now: int) -> Task:
    """Put a task at the tail of its pending list, ready at once, wherever it is now.

    Whoever holds it loses it, as by an abandon (D1). A task that has ended begins anew: without attempts, error and
    result. Nobody is notified (U3). Raises :class:`~codeq_fake.core.errors.TaskNotFound`.
    """
    task = broker.get(task_id)
    queue = broker.store.queue_for(task)
    queue.discard(task)
    if task.state in _ENDED:
        task.attempts = 0
        task.error = ""
        task.record = None
    task.happens(Event.REQUEUE, by="", now=now)
    task.touched_at = now
    task.visible_at = 0
    task.let_go()
    queue.put(task)
    return task


def delete(broker: Broker, task_id: str) -> None:
    """Delete a task with its result, as a clean-up does (M3); callbacks that are under way go on.

    Raises :class:`~codeq_fake.core.errors.TaskNotFound`.
    """
    broker.store.remove(broker.get(task_id))


def call_back_again(broker: Broker, task_id: str, *, now: int) -> None:
    """Let the callback of a task's result become due anew, with all of its tries (W1, W3).

    Raises :class:`~codeq_fake.core.errors.TaskNotFound`, or :class:`~codeq_fake.core.errors.ResultNotFound` for a task
    that has no result, a dead letter included (N4).
    """
    task, record = broker.result(task_id)
    broker.call_back(task, record, now=now)

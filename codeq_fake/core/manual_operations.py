"""Manual operations on tasks. They are not part of the contract and need no permission.

Each takes the broker, the id of a task and `now` (ns), and raises `TaskNotFound` for an unknown id.
"""

from __future__ import annotations

from . import errors
from .broker import Broker
from .task import ENDED, Event, HistoryEntry, State, Status, Task


def expire_lease(broker: Broker, task_id: str, *, now: int) -> Task:
    """End the lease of a task now. The next claim, or the reaper, requeues it (N5, P1). Raises `NotInProgress`.

    Until then its worker still has it: a heartbeat is accepted. It brings a lease back only on Pebble (H3, P3).
    """
    task = broker.get(task_id)
    if task.status is not Status.IN_PROGRESS:
        raise errors.NotInProgress
    task.begin_change()
    task.note(HistoryEntry(now, "lease ended by hand", "", task.state, task.state))
    broker.leases.end(task, now=now)
    return task


def take_lease(broker: Broker, task_id: str, *, now: int) -> Task:
    """End the lease of a task, and requeue the task at once as the next claim would (N5): its worker has lost it.

    Raises `NotInProgress`, also for a task that no claim would find (Z2).
    """
    if broker.get(task_id).state is not State.LEASED:
        raise errors.NotInProgress
    task = expire_lease(broker, task_id, now=now)
    broker.requeueing.requeue_as_expired(task, Event.EXPIRE, now=now)
    return task


def requeue(broker: Broker, task_id: str, *, now: int) -> Task:
    """Move a task in any state to the tail of its pending list.

    Its worker loses it, as by an abandon (D1). A task that has ended starts again without attempts, error and result.
    There are no notices (U3).
    """
    task = broker.get(task_id)
    queue = broker.store.queue_for(task)
    queue.remove(task)
    has_ended = task.state in ENDED
    task.apply(Event.REQUEUE, by="", now=now)
    if has_ended:
        task.attempts = 0
        task.error = ""
        task.record = None
    task.touched_at = now
    task.visible_at = 0
    task.clear_lease()
    queue.put(task)
    return task


def delete(broker: Broker, task_id: str) -> None:
    """Delete a task and its result, as a clean-up does (M3). Its callbacks continue."""
    broker.store.remove(broker.get(task_id))


def resend_callback(broker: Broker, task_id: str, *, now: int) -> None:
    """Send the callback of a task's result again, with all of its tries (W1, W3).

    Raises `ResultNotFound` for a task without a result, which includes dead letters (N4).
    """
    task, record = broker.result(task_id)
    broker.start_callback(task, record, now=now)

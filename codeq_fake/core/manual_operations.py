"""Manual operations on tasks. They are not part of the contract and need no permission.

Each takes the broker, the id of a task and `now` (ns), and raises `TaskNotFound` for an unknown id.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import errors
from .broker import Broker
from .task import Event, State, Status, Task

_NEVER_CLAIMABLE = {
    State.LOST: "it is lost: no claim finds it among the tasks in progress, so none repairs it (Z2)",
    State.COMPLETED: "it is completed",
    State.FAILED: "it failed, and FAILED is final (S4)",
    State.DEAD: "it is in the dead letter queue (N4)",
}


def expire_lease(broker: Broker, task_id: str, *, now: int) -> Task:
    """End the lease of a task now. The next claim requeues the task. Raises `NotInProgress`."""
    task = broker.get(task_id)
    if task.status is not Status.IN_PROGRESS:
        raise errors.NotInProgress
    task.lease_until = task.lease_expiry = now
    if task.state is State.LEASED:
        broker.store.queue_for(task).lease(task)
    return task


def requeue(broker: Broker, task_id: str, *, now: int) -> Task:
    """Move a task in any state to the tail of its pending list.

    Its worker loses it, as by an abandon (D1). A task that has ended starts again without attempts, error and result.
    There are no notices (U3).
    """
    task = broker.get(task_id)
    queue = broker.store.queue_for(task)
    queue.remove(task)
    if task.state in (State.COMPLETED, State.FAILED, State.DEAD):
        task.attempts = 0
        task.error = ""
        task.record = None
    task.apply(Event.REQUEUE, by="", now=now)
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


@dataclass(frozen=True, slots=True)
class Claimable:
    """Whether the next claim for the task's command and tenant can get it; if not, `why`, and from when (ns) it can.

    `since` is None for a task that is claimable now, or that no claim will ever get.
    """

    now: bool
    why: str = ""
    since: int | None = None


def explain(broker: Broker, task_id: str, *, now: int) -> Claimable:
    """Tell whether a task can be claimed."""
    task = broker.get(task_id)
    match task.state:
        case _ if broker.store.queue_for(task).is_pending(task):
            return Claimable(now=True)  # Also a finished task, if a duplicate of its id is pending (Z1).
        case State.DELAYED if task.visible_at <= now:
            return Claimable(now=True)  # K7: the claim itself first moves it to its queue.
        case State.DELAYED:
            return Claimable(now=False, why="it is delayed (C7)", since=task.visible_at)
        case State.LEASED:
            expired_at = broker.profile.expires_at(task.lease_expiry)
            if expired_at > now:
                return Claimable(now=False, why=f"{task.worker} holds its lease (K5)", since=expired_at)
            why = "its lease has run out: the next claim requeues it with a delay, a later one gets it (K7, N5)"
            return Claimable(now=False, why=why, since=now)
        case state:
            return Claimable(now=False, why=_NEVER_CLAIMABLE[state])

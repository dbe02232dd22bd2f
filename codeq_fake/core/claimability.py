"""Whether a task can be claimed, and its place in the queue; if not, why and from when. Nothing here changes a task."""

from __future__ import annotations

from itertools import chain, islice
from typing import NamedTuple

from .broker import Broker
from .task import State, Task

_NEVER_CLAIMABLE = {
    State.LOST: "it is lost: no claim finds it among the tasks in progress, so none repairs it (Z2)",
    State.COMPLETED: "it is completed",
    State.FAILED: "it failed, and FAILED is final (S4)",
    State.DEAD: "it is in the dead letter queue (N4)",
}
_NOT_COUNTED = (
    "the server counts no delayed tasks of its command, so no claim looks for it: a create with a delay or a NACK of "
    "this command changes that (P6)"
)


#: How many tasks are counted to find the place of one. Those behind them have the number 0.
_MOST_COUNTED = 100_000


class Claimable(NamedTuple):
    """Whether the next claim for the task's command and tenant can get it; if not, `why`, and from when (ns) one can.

    `not_before` is None for a task that is claimable now, or that no claim will ever get.
    """

    is_now: bool
    why: str = ""
    not_before: int | None = None


def explain(broker: Broker, task_id: str, *, now: int) -> Claimable:
    """Whether a task can be claimed; if not, why. Changes nothing. Raises `TaskNotFound` for an unknown id."""
    task = broker.get(task_id)
    match task.state:
        case _ if task.place is not None:
            return Claimable(is_now=True)  # Also a finished task, if a duplicate of its id is pending (Z1).
        case State.DELAYED if broker.store.queue_for(task).hides_delays:
            place = "due" if task.visible_at <= now else "delayed"
            return Claimable(is_now=False, why=f"it is {place}, but {_NOT_COUNTED}")
        case State.DELAYED if task.visible_at <= now:
            return Claimable(is_now=True)  # K7: the claim itself first moves it to its queue.
        case State.DELAYED:
            return Claimable(is_now=False, why="it is delayed (C7)", not_before=task.visible_at)
        case State.LEASED:
            return _of_leased(broker, task, now=now)
        case state:
            return Claimable(is_now=False, why=_NEVER_CLAIMABLE[state])


def _of_leased(broker: Broker, task: Task, *, now: int) -> Claimable:
    """Why a task with a lease cannot be claimed, and from when it can be requeued."""
    expired_at = broker.profile.store.lease_expired_from(task.lease_expiry)
    repaired_from = broker.requeueing.repairs_from(task.tenant, task.command)
    if expired_at > now:
        why = f"{task.worker} holds its lease (K5)"
    elif repaired_from > now:
        why = "its lease has run out, but leases were repaired a moment ago (Q1)"
    else:
        finder = "the next claim" if broker.reaper is None else "the next claim, or the reaper,"
        why = f"its lease has run out: {finder} requeues it with a delay, a later one gets it (K7, N5)"
    return Claimable(is_now=False, why=why, not_before=max(now, expired_at, repaired_from))


class Position(NamedTuple):
    """The place of a task in its queue: `number`, from 1, of `total`. The number 0 means: too far back to count."""

    number: int
    total: int


def position(broker: Broker, task: Task) -> Position | None:
    """The place of a task in the order in which claims get the ready ones (K4), None if it is not among them."""
    queue = broker.store.queue_for(task)
    if task.place is None:
        return None
    order = chain.from_iterable(ready.items() for ready in queue.pending.values())
    number = next((n for n, (task_id, _) in enumerate(islice(order, _MOST_COUNTED), start=1) if task_id == task.id), 0)
    return Position(number, queue.ready_count())

"""The real server's races (section 18), made to happen: what its steps, which are not atomic, can do to a task.

No operation of the contract calls these. Each says whether the race could happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .commands import queue_name
from .task import Event, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .broker import Broker
    from .queue import Queue
    from .task import Task


def redeliver_finished(broker: Broker, task: Task, *, now: int) -> bool:
    """A finished task comes back (Z1).

    A second copy of its id is at the tail of its pending list. The claim that takes it has the task in progress again,
    and a second result overwrites the first.
    """
    if task.state not in (State.COMPLETED, State.FAILED):
        return False
    _behind_its_back(task, Event.COPY, now=now)
    broker.store.queue_for(task).put(task)
    return True


def lose_task(broker: Broker, task: Task, *, now: int) -> bool:
    """A task is lost (Z2).

    It is no longer in the set of those in progress, where a claim looks for leases that ran out. Its worker can still
    end it or give it back; if that dies, the task stays IN_PROGRESS for ever.
    """
    if task.state is not State.LEASED:
        return False
    _behind_its_back(task, Event.LOSE, now=now)
    del broker.store.queue_for(task).in_progress[task.id]
    return True


def revoke_lease(broker: Broker, task: Task, *, now: int) -> bool:
    """A fresh lease is revoked (Z3).

    The task is requeued as if its lease had run out, while its worker believes that it holds it.
    """
    if task.state is not State.LEASED:
        return False
    queue = broker.store.queue_for(task)
    del queue.in_progress[task.id]
    broker.returns.expire(task, queue, Event.REVOKE, now=now)
    return True


def false_empty(broker: Broker, commands: Sequence[str], *, tenant: str, now: int) -> bool:
    """The next claim finds nothing though there is a task (Z4).

    The priority that it would take from begins with the second copy of an id in progress: to the claim that takes this
    copy, the priority is empty. It goes on to the lower ones, and to the further commands.
    """
    for command in commands:
        broker.returns.repair(queue_name(command), tenant, now=now)
    return any(queue.copy_ahead() for queue in _queues(broker, commands, tenant))


def end_false_empty(broker: Broker, commands: Sequence[str], *, tenant: str) -> bool:
    """Take the copy away where no claim has taken it, since the claim was refused; says whether there was one."""
    return sum(queue.forget_copy() for queue in _queues(broker, commands, tenant)) > 0


def _queues(broker: Broker, commands: Sequence[str], tenant: str) -> Iterator[Queue]:
    for command in commands:
        queue = broker.store.queues.get((tenant, queue_name(command)))
        if queue is not None:
            yield queue


def _behind_its_back(task: Task, event: Event, *, now: int) -> None:
    """Let happen what is done to lists of ids alone: the stored task is not written, nor its ``updatedAt``."""
    updated_at = task.updated_at
    task.happens(event, by="", now=now)
    task.updated_at = updated_at

"""Why a task can or cannot be claimed now, for a person who waits for it. No part of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .task import State

if TYPE_CHECKING:
    from .broker import Broker


@dataclass(frozen=True, slots=True)
class Claimable:
    """Whether the next claim for the task's command and tenant can get it, ``why`` not, and from when (ns) it may.

    ``since`` is None for a task that no claim will ever get again, or when it is claimable already.
    """

    now: bool
    why: str = ""
    since: int | None = None


_NEVER = {
    State.LOST: "it is lost: no claim finds it among the tasks in progress, so none repairs it (Z2)",
    State.COMPLETED: "it is completed",
    State.FAILED: "it failed, and FAILED is final (S4)",
    State.DEAD: "it is in the dead letter queue (N4)",
}


def explain(broker: Broker, task_id: str, *, now: int) -> Claimable:
    """Say whether a task can be claimed. Raises :class:`~codeq_fake.core.errors.TaskNotFound`."""
    task = broker.get(task_id)
    match task.state:
        case _ if broker.store.queue_for(task).is_pending(task):
            return Claimable(now=True)  # A finished task, too, when a second copy of it waits (Z1).
        case State.DELAYED if task.visible_at <= now:
            return Claimable(now=True)  # K7: the claim itself moves it to its queue first.
        case State.DELAYED:
            return Claimable(now=False, why="it is delayed (C7)", since=task.visible_at)
        case State.LEASED:
            spent = broker.profile.spent_from(task.lease_expiry)
            if spent > now:
                return Claimable(now=False, why=f"{task.worker} holds its lease (K5)", since=spent)
            why = "its lease has run out: the next claim requeues it with a delay, a later one gets it (K7, N5)"
            return Claimable(now=False, why=why, since=now)
        case state:
            return Claimable(now=False, why=_NEVER[state])

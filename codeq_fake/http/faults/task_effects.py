"""What faults do to tasks: end their leases, or let one of the real server's races happen."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake.core import races
from codeq_fake.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from codeq_fake.core import Broker, Task


def affect(kind: str, broker: Broker, tasks: Iterable[str], *, now: int) -> bool:
    """Apply a fault to each of the tasks. Returns whether it was possible for any of them."""
    return sum(_done(kind, broker, task_id, now) for task_id in tasks) > 0


def _done(kind: str, broker: Broker, task_id: str, now: int) -> bool:
    try:
        return TASK_EFFECTS[kind](broker, broker.get(task_id), now)
    except Refused:
        return False


def _expire_lease(broker: Broker, task: Task, now: int) -> bool:
    broker.expire_lease(task.id, now=now)
    return True


#: Kind of fault -> the function that applies it to a task and returns whether that was possible.
TASK_EFFECTS: Mapping[str, Callable[[Broker, Task, int], bool]] = MappingProxyType(
    {
        "expire_lease": _expire_lease,
        "redeliver_finished": lambda broker, task, now: races.redeliver_finished(broker, task, now=now),  # Z1
        "lose_task": lambda broker, task, now: races.lose_task(broker, task, now=now),  # Z2
        "revoke_lease": lambda broker, task, now: races.revoke_lease(broker, task, now=now),  # Z3
    }
)

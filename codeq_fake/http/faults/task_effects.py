"""What a fault does to tasks: their leases are ended, or one of the real server's races happens to them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake.core import races
from codeq_fake.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from codeq_fake.core import Broker, Task


def meddle(kind: str, broker: Broker, tasks: Iterable[str], *, now: int) -> bool:
    """Do it to each of the tasks; says whether it could be done to any."""
    return sum(_done(kind, broker, task_id, now) for task_id in tasks) > 0


def _done(kind: str, broker: Broker, task_id: str, now: int) -> bool:
    try:
        return MEDDLING[kind](broker, broker.get(task_id), now)
    except Refused:
        return False


def _expire_lease(broker: Broker, task: Task, now: int) -> bool:
    broker.expire_lease(task.id, now=now)
    return True


#: Kind of fault -> what does it to a task, and says whether it could.
MEDDLING: Mapping[str, Callable[[Broker, Task, int], bool]] = MappingProxyType(
    {
        "expire_lease": _expire_lease,
        "redeliver_finished": lambda broker, task, now: races.redeliver_finished(broker, task, now=now),  # Z1
        "lose_task": lambda broker, task, now: races.lose_task(broker, task, now=now),  # Z2
        "revoke_lease": lambda broker, task, now: races.revoke_lease(broker, task, now=now),  # Z3
    }
)

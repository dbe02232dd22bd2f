"""What faults do to tasks: end their leases, or let one of the real server's races happen."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake.core import manual_operations, races
from codeq_fake.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from codeq_fake.core import Broker


def affect(kind: str, broker: Broker, tasks: Iterable[str], *, now: int) -> bool:
    """Apply a fault to each of the tasks. Returns whether it was possible for any of them."""
    return sum(_done(kind, broker, task_id, now) for task_id in tasks) > 0


def _done(kind: str, broker: Broker, task_id: str, now: int) -> bool:
    try:
        return TASK_EFFECTS[kind](broker, task_id, now=now)
    except Refused:
        return False


def _expire_lease(broker: Broker, task_id: str, *, now: int) -> bool:
    manual_operations.expire_lease(broker, task_id, now=now)
    return True


#: Kind of fault -> the function that applies it to a task and returns whether that was possible.
TASK_EFFECTS: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "expire_lease": _expire_lease,
        "redeliver_finished": races.redeliver_finished,  # Z1
        "lose_task": races.lose_task,  # Z2
        "revoke_lease": races.revoke_lease,  # Z3
    }
)

"""What faults do to tasks: end their leases, or let one of the real server's races happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType

from codeq_fake.core import Broker, manual_operations, races
from codeq_fake.core.errors import Refused


def affect(kind: str, broker: Broker, tasks: Iterable[str], *, now: int) -> bool:
    """Apply a fault to each of the tasks. Returns whether it was possible for any of them."""
    happened = False
    for task_id in tasks:
        with suppress(Refused):
            happened |= TASK_EFFECTS[kind](broker, task_id, now=now)
    return happened


def _expire_lease(broker: Broker, task_id: str, *, now: int) -> bool:
    manual_operations.expire_lease(broker, task_id, now=now)
    return True


#: The races of the real server that happen to one task.
RACES = ("redeliver_finished", "lose_task", "revoke_lease")

#: Kind of fault -> the function that applies it to a task and returns whether that was possible.
TASK_EFFECTS: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "expire_lease": _expire_lease,
        "redeliver_finished": races.redeliver_finished,  # Z1
        "lose_task": races.lose_task,  # Z2
        "revoke_lease": races.revoke_lease,  # Z3
    }
)

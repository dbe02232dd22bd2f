"""Stuck tasks: those that need a person, and those whose lease is over until a claim or the reaper requeues them."""

from __future__ import annotations

from codeq_fake.core import Broker, State, Task
from codeq_fake.core.times import SECOND

#: A task that could be claimed for so long (ns), and was not, is stuck. Help and documents say "for a minute".
STUCK_AFTER = 60 * SECOND

#: Constants, since Python 3.11 takes longer to look a member up than for all the rest.
_READY, _DELAYED, _LEASED = State.READY, State.DELAYED, State.LEASED
#: No claim finds a task in one of these states.
_HELPLESS = frozenset({State.DEAD, State.LOST, State.UNLEASED})


def is_lease_over(task: Task, broker: Broker, now: int) -> bool:
    """Whether the lease of a task has run out at an instant (ns), but no claim has requeued it yet."""
    return task.state is _LEASED and broker.profile.store.lease_expired_from(task.lease_expiry) <= now


def is_stuck(task: Task, broker: Broker, now: int) -> bool:
    """Whether a task needs a person: it is dead, no claim finds it, its lease is over, or no worker asks for it."""
    state = task.state
    if state is _READY:
        return task.state_since + STUCK_AFTER <= now
    if state is _DELAYED:
        return task.visible_at + STUCK_AFTER <= now
    return state in _HELPLESS or is_lease_over(task, broker, now)

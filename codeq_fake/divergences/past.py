"""What earlier requests have shown of tasks and subscriptions, as far as a rule asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from codeq_fake.core.commands import BUILT_IN_COMMANDS, queue_name
from codeq_fake.core.times import SECOND
from codeq_fake.journal import TouchedTask

from .call import Call

_OK = 200


@dataclass(slots=True)
class Lease:
    """A lease as the latest request on its task left it. `deliveries` is how often the task has been claimed."""

    worker: str
    task: TouchedTask
    deliveries: int

    @property
    def until(self) -> int:
        """When it ends, in whole seconds as `leaseUntil` shows it; 0 after the task was given back."""
        return self.task.lease_until // SECOND


@dataclass(slots=True)
class Past:
    """Tasks that were claimed and have not ended, by id, and the queues that somebody has subscribed to."""

    leases: dict[str, Lease] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)

    def learn(self, call: Call) -> None:
        """Take note of what a call has changed."""
        lesson = _LESSONS.get(call.operation)
        if lesson is not None and _OK <= call.request.status < _OK + 100:
            lesson(self, call)


def _claimed(past: Past, call: Call) -> None:
    for task in call.request.tasks:
        earlier = past.leases.get(task.id)
        deliveries = earlier.deliveries + 1 if earlier is not None else 1
        past.leases[task.id] = Lease(call.request.caller, task, deliveries)


def _changed(past: Past, call: Call) -> None:
    for task in call.request.tasks:
        if (lease := past.leases.get(task.id)) is not None:
            lease.task = task


def _ended(past: Past, call: Call) -> None:
    for task in call.request.tasks:
        past.leases.pop(task.id, None)


def _subscribed(past: Past, call: Call) -> None:
    past.subscribed |= set(map(queue_name, call.texts("eventTypes") or BUILT_IN_COMMANDS))


_LESSONS: Mapping[str, Callable[[Past, Call], None]] = MappingProxyType(
    {
        "claim": _claimed,
        "claim_batch": _claimed,
        "heartbeat": _changed,
        "abandon": _changed,
        "nack": _changed,
        "submit": _ended,
        "subscribe": _subscribed,
    }
)

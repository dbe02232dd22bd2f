"""What earlier requests did to tasks and subscriptions: the facts that the rules ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from codeq_fake.core.commands import BUILT_IN_COMMANDS, queue_name
from codeq_fake.core.task import ENDED
from codeq_fake.core.times import SECOND
from codeq_fake.journal import Request, TouchedTask

_OK = range(200, 300)
#: A longer body is not read again for what a person looks at (bytes).
_LONGEST = 10_000


@dataclass(slots=True)
class Lease:
    """A claimed task as its latest request left it. `deliveries` is how often it has been claimed."""

    worker: str
    task: TouchedTask
    deliveries: int

    @property
    def until(self) -> int:
        """When the lease ends, in whole seconds as in `leaseUntil`; 0 if the task was given back."""
        return self.task.lease_until // SECOND


@dataclass(slots=True)
class History:
    """Tasks that were claimed and have not ended, by id, and the queues that have a subscription."""

    leases: dict[str, Lease] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)

    def add(self, request: Request) -> None:
        """Add the effects of a request."""
        if request.status not in _OK:
            return
        match request.operation:
            case "claim" | "claim_batch":
                for task in request.tasks:
                    earlier = self.leases.get(task.id)
                    deliveries = earlier.deliveries + 1 if earlier is not None else 1
                    self.leases[task.id] = Lease(request.caller, task, deliveries)
            case "heartbeat" | "abandon" | "nack":
                for lease, task in self.claimed(request.tasks):
                    lease.task = task
            case "submit" | "submit_batch":
                for task in request.tasks:
                    if task.state in ENDED:
                        self.leases.pop(task.id, None)
            case "subscribe":
                self.subscribed |= queues_in(request, "eventTypes")
            case _:
                pass

    def claimed(self, tasks: Iterable[TouchedTask]) -> list[tuple[Lease, TouchedTask]]:
        """Those of the tasks that were claimed before, with their leases."""
        return [(self.leases[task.id], task) for task in tasks if task.id in self.leases]


def fields(request: Request) -> dict[str, Any]:
    """The fields of a request's body; none if it is not a JSON object."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def fields_of_short(request: Request) -> dict[str, Any]:
    """As `fields`; none of a body that takes long to read."""
    return fields(request) if len(request.body) <= _LONGEST else {}


def commands_asked_for(claim: Request) -> list[str]:
    """The commands that a claim names. It may name none: then it asks for all that its token allows (K1)."""
    return _texts(fields_of_short(claim).get("commands"))


def queues_in(request: Request, name: str) -> set[str]:
    """The queues of the commands that a field of the body lists, by default the built-in ones."""
    return set(map(queue_name, _texts(fields(request).get(name)) or BUILT_IN_COMMANDS))


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []

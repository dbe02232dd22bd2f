"""What happened in a history: calls that took effect somewhere between being sent and being answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_contract.checker.names import queue_name

if TYPE_CHECKING:
    from collections.abc import Mapping

FOREVER = 1 << 63
"""Later than every moment of a history, and longer than every time that Go can count in nanoseconds."""


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A task as a reply showed it; absent fields are empty or 0."""

    id: str
    command: str
    payload: str
    priority: int
    webhook: str
    status: str
    location: str
    worker: str
    attempts: int
    max_attempts: int
    tenant: str
    created_at: str

    @property
    def queue(self) -> tuple[str, str]:
        """The tenant and the command in lower case: tasks that have both in common wait together (C2, K6)."""
        return self.tenant, queue_name(self.command)

    @property
    def is_over(self) -> bool:
        """Whether it is in one of the two states that are final."""
        return self.status in {"COMPLETED", "FAILED"}


@dataclass(frozen=True, slots=True)
class Event:
    """One call, by the caller that the recording names: `sent` and `answered` in nanoseconds since 1970.

    Two events are in order only if one was answered before the other was sent; otherwise either may have come first.
    """

    number: int
    who: str
    sent: int
    answered: int

    def precedes(self, other: Event) -> bool:
        """Whether this was over before the other began."""
        return self.answered < other.sent


@dataclass(frozen=True, slots=True)
class Shown(Event):
    """A reply that showed a task."""

    task: TaskSeen

    @property
    def task_id(self) -> str:
        """Which task it is."""
        return self.task.id


@dataclass(frozen=True, slots=True)
class Created(Shown):
    """A create that was accepted: of a new task, or with an idempotency key of one that was there (C8).

    `place` is its place in a batch. `delay` (ns) and `run_at` (ns since 1970, None for none) are as asked for.
    """

    place: int

    delay: int
    run_at: int | None


@dataclass(frozen=True, slots=True)
class Claim(Event):
    """A claim that went through, with or without tasks.

    `tenant` is None when it is not known who called, `queues` (names in lower case) when the server chose them. `most`
    is how many tasks it asked for.
    """

    tenant: str | None
    queues: tuple[str, ...] | None
    tasks: tuple[TaskSeen, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Delivery(Shown):
    """One task that a claim handed out, the `place`th, under a lease of `lease` nanoseconds; `queues` as in Claim."""

    place: int
    queues: tuple[str, ...] | None
    lease: int


@dataclass(frozen=True, slots=True)
class Deed(Event):
    """What a worker did about a task it holds, or thought it held.

    `worker` is the caller's subject, None if unknown. `refusal` is the server's error text, empty when it accepted.
    """

    worker: str | None
    task_id: str
    refusal: str

    @property
    def accepted(self) -> bool:
        """Whether the server did it."""
        return not self.refusal

    @property
    def refused_as_not_held(self) -> bool:
        """Whether the server refused because the task was in other hands, or in nobody's."""
        return self.refusal in {"not-owner", "not-in-progress"}


@dataclass(frozen=True, slots=True)
class Heartbeat(Deed):
    """Asks for a lease that ends `extension` nanoseconds from now."""

    extension: int


@dataclass(frozen=True, slots=True)
class Abandon(Deed):
    """Gives the task back at once."""


@dataclass(frozen=True, slots=True)
class Nack(Deed):
    """Gives the task back as not done. `asked` and `delay` (the server's answer) are whole seconds."""

    asked: int
    delay: int
    dead: bool


@dataclass(frozen=True, slots=True)
class Result(Deed):
    """Ends the task. `calls_back` says whether the way it was sent makes the server call a webhook (W1, S6)."""

    status: str
    completed_at: str
    calls_back: bool


@dataclass(frozen=True, slots=True)
class Sight(Shown):
    """A read."""


@dataclass(frozen=True, slots=True)
class Missing(Event):
    """A call to a task of which the server said that there is none."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Cleanup(Event):
    """A clean-up that deleted tasks; which, nobody was told (M3)."""


@dataclass(frozen=True, slots=True)
class Lost(Event):
    """A call without a reply: what it asked for may have happened at any time since, or never. `answered` is FOREVER.

    `tenant` and `queues` as in Claim.
    """

    path: str
    body: str
    tenant: str | None
    queues: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class CalledBack(Event):
    """A result callback as the webhook received it, at the moment `sent`."""

    path: str
    task_id: str
    status: str
    completed_at: str
    headers: Mapping[str, str]
    body: str


OfTask = Shown | Deed | Missing | CalledBack
"""What is about one task, its `task_id`."""

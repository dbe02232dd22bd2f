"""Events of a history: calls that took effect at some moment between being sent and being answered.

Nothing changes an event, but its class is not frozen: a history has millions, and a frozen one takes three times as
long to make.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

FOREVER = 1 << 63
"""Later than every moment of a history, and longer than any duration that Go can count in nanoseconds."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def queue_name(command: str) -> str:
    """The lower case of a command, as the server uses it for queue keys (C2).

    Go lowers each rune separately. Python lowers some runes by their neighbours (a final sigma) or into two (a dotted
    capital I). A lone surrogate is U+FFFD to Go (B1).
    """
    if command.isascii():
        return command.lower()
    return "".join(rune.lower()[0] for rune in _SURROGATE.sub("\ufffd", command))


@dataclass(slots=True)
class TaskSnapshot:
    """A task as one reply showed it. Absent fields are empty or 0."""

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
        """The tenant and the lower-case command. Tasks that share both share a queue (C2, K6)."""
        return self.tenant, queue_name(self.command)

    @property
    def is_over(self) -> bool:
        """Whether the task is in one of the two final states."""
        return self.status in {"COMPLETED", "FAILED"}


@dataclass(slots=True)
class Event:
    """One call by the named caller. `sent` and `answered` are nanoseconds since 1970.

    Two events are ordered only if one was answered before the other was sent. Otherwise either may have come first.
    """

    number: int
    caller: str
    sent: int
    answered: int

    def precedes(self, other: Event) -> bool:
        """Whether this event was over before the other began."""
        return self.answered < other.sent

    def overlaps(self, other: Event) -> bool:
        """Whether both were under way at the same moment."""
        return not self.precedes(other) and not other.precedes(self)


@dataclass(slots=True)
class Observation(Event):
    """A reply that showed a task."""

    task: TaskSnapshot

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return self.task.id


@dataclass(slots=True)
class Created(Observation):
    """An accepted create: of a new task, or with an idempotency key of an existing one (C8).

    `position` is the place in a batch. `delay` (ns) and `run_at` (ns since 1970, None if absent) are as requested.
    """

    position: int
    delay: int
    run_at: int | None


@dataclass(slots=True)
class Read(Observation):
    """A read of a task."""


@dataclass(slots=True)
class ResultRead(Read):
    """A read of a task and of its record, which is as in `Result` (S7)."""

    record: str


@dataclass(slots=True)
class ResultMissing(Event):
    """A read of the result of a task that has none (S7)."""

    task_id: str


@dataclass(slots=True)
class Claim(Event):
    """A successful claim, with or without tasks.

    `tenant` is None if the caller is unknown. `queues` are names in lower case, None if the server chose them. `limit`
    is the number of tasks that the claim asked for, and `wait` the time in ns that it may wait for one.
    """

    tenant: str | None
    queues: tuple[str, ...] | None
    tasks: tuple[TaskSnapshot, ...]
    limit: int
    wait: int


@dataclass(slots=True)
class Delivery(Observation):
    """One task of a claim, at `position` in its reply, under a lease of `lease` ns. `queues` is as in `Claim`."""

    position: int
    queues: tuple[str, ...] | None
    lease: int


@dataclass(slots=True)
class Operation(Event):
    """A call of a worker about a task that it holds, or believes to hold.

    `worker` is the caller's subject, None if unknown. `refusal` is the server's error text, empty if it accepted.
    """

    worker: str | None
    task_id: str
    refusal: str

    @property
    def is_accepted(self) -> bool:
        """Whether the server accepted the operation."""
        return not self.refusal

    @property
    def is_refused_as_not_held(self) -> bool:
        """Whether the server refused because this worker did not hold the task."""
        return self.refusal in {"not-owner", "not-in-progress"}


@dataclass(slots=True)
class Heartbeat(Operation):
    """Asks for a lease that ends `extension` nanoseconds from now."""

    extension: int


@dataclass(slots=True)
class Abandon(Operation):
    """Gives the task back at once."""


@dataclass(slots=True)
class Nack(Operation):
    """Gives the task back as not done. `requested` and `delay` (the server's answer) are whole seconds."""

    requested: int
    delay: int
    dead: bool


@dataclass(slots=True)
class Result(Operation):
    """Ends the task. `calls_back` says whether a result sent this way makes the server call the webhook (W1, S6).

    `record` is the record in the reply as JSON with sorted keys. `is_altered` says that it is not what was sent.
    """

    status: str
    completed_at: str
    calls_back: bool
    record: str
    is_altered: bool


@dataclass(slots=True)
class Missing(Event):
    """A call about a task that the server did not know."""

    task_id: str


@dataclass(slots=True)
class Sizes(Event):
    """The sizes of a queue (M2): the tasks that have not ended, wherever they are, and the dead letters."""

    queue: tuple[str, str]
    unended: int
    dead: int


@dataclass(slots=True)
class Cleanup(Event):
    """A clean-up that deleted tasks. The reply does not say which (M3)."""


@dataclass(slots=True)
class Lost(Event):
    """A call without a reply. It may have taken effect at any later moment, or never. `answered` is FOREVER.

    `tenant` and `queues` are as in `Claim`.
    """

    path: str
    body: str
    tenant: str | None
    queues: tuple[str, ...] | None


@dataclass(slots=True)
class CallbackReceived(Event):
    """A result callback that the webhook received. When the server sent it is not known."""

    path: str
    task_id: str
    status: str
    completed_at: str
    headers: Mapping[str, str]
    body: str

    @property
    def arrived(self) -> int:
        """When the webhook received it (ns), which is its `sent` and its `answered` among other events."""
        return self.sent


TaskEvent = Observation | Operation | Missing | ResultMissing | CallbackReceived
"""An event about one task, its `task_id`."""

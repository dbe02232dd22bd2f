"""What the server returns and what batches take, as immutable values; `Task` itself is in `_task`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from codeq_client._task import Task
from codeq_client.errors import CodeQError

from .arguments import check_text
from .json_values import from_json

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that belongs to a result: either its `url`, or `content` for the server to store (S5)."""

    name: str = ""
    url: str = ""
    content: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The stored result of a task (S2). `result` is what the worker returned; a wrapped scalar or list is unwrapped."""

    task_id: str
    status: str
    result: Any = None
    error: str = ""
    artifacts: tuple[Artifact, ...] = ()
    completed_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def result_as(self, kind: type[T]) -> T:
        """Return the result as a dataclass, attrs class, pydantic model or plain type; raises `DecodeError`."""
        return from_json(kind, self.result)


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished task with its record (S7)."""

    task: Task
    record: Record


@dataclass(frozen=True, slots=True)
class Submission:
    """One item of a batch of results: the claimed task, and its `result` or its `error`.

    With an `error` the task ends as FAILED, and `result` is ignored. An item is sent in a separate request if it has
    artifacts, if its task has a webhook, or if only the id is given, so that a webhook is unknown: the batch route
    ignores artifacts and sends no callbacks (S6).
    """

    task: Task | str
    result: Any = None
    error: str = ""
    artifacts: tuple[Artifact, ...] = ()

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return self.task.id if isinstance(self.task, Task) else self.task


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """One item of a batch of tasks to create; the fields are those of `CodeQ.create`.

    Without an `idempotency_key` each use creates another task. Only an item that was rejected keeps the key of that
    try, so that sending it again cannot create its task twice.
    """

    command: str
    payload: Any
    priority: int = 0
    webhook: str = ""
    max_attempts: int = 0
    delay: float | timedelta = 0
    run_at: datetime | None = None
    idempotency_key: str | None = None
    _rejected_key: str = field(default="", init=False, repr=False, compare=False)

    def take_key(self) -> str:
        """Return the idempotency key for the next try: the item's, else once that of a rejected try, or a new one."""
        if self.idempotency_key is not None:
            return self.idempotency_key
        if not self._rejected_key:
            return token_hex(16)  # C8: keys are global, across tenants and commands, so a new one must be unique
        key = self._rejected_key
        self.keep_key("")
        return key

    def keep_key(self, key: str) -> None:
        """Keep the key of a rejected try."""
        object.__setattr__(self, "_rejected_key", key)  # the only thing that changes in a frozen item


class TaskOptions(TypedDict, total=False):
    """What a new task may have besides its command and payload; see `CodeQ.create`."""

    priority: int
    webhook: str
    max_attempts: int
    delay: float | timedelta
    run_at: datetime | None
    idempotency_key: str | None


class CreateOptions(TaskOptions, total=False):
    """What `CodeQ.create` takes besides command and payload."""

    trace_parent: str


@dataclass(frozen=True, slots=True)
class Command(Generic[P, R]):
    """A command and the types of its payload and result. Producers and workers share it, and type checkers use it.

    The types are dataclasses, attrs classes, pydantic models, TypedDicts or plain types; `type(None)` is no result.
    """

    name: str
    payload: type[P] = field(kw_only=True)
    result: type[R] = field(kw_only=True)

    def __post_init__(self) -> None:
        check_text(self.name, "the name of a command")

    def __str__(self) -> str:
        return self.name

    def task(self, payload: P, **options: Unpack[TaskOptions]) -> NewTask:
        """Return an item for `CodeQ.create_batch`."""
        return NewTask(command=self.name, payload=payload, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How many tasks of one command and of the caller's tenant are in each state (M2)."""

    command: str
    ready: int
    delayed: int
    in_progress: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A queue-ready subscription, and when it ends unless it is renewed (U1)."""

    id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """The effect of a NACK: the task is ready again after `delay` seconds, or it is `dead` (N3, N4)."""

    delay: int
    dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """How many tasks were deleted: those not changed in the 24 hours up to `before` (M3)."""

    deleted: int
    before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPolicy:
    """The policy of a topic (G3). `priority_tiers` are one to ten priorities; 0 means no limit for the last two."""

    priority_tiers: tuple[int, ...]
    max_attempts: int
    dead_letter_topic: str
    retention: float | timedelta = 0
    max_consumers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic: an entry of an administrator's catalogue, which changes no task. `version` counts its policies (G3)."""

    id: str
    tenant_id: str
    name: str
    policy: TopicPolicy
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """A batch item that was not accepted, and the reason. To send it again, use `item`: it has its idempotency key."""

    index: int
    error: CodeQError
    item: Any = None


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """The answers to a batch, one for each item, in the order of the items.

    `outage` is the error that ended the batch early, if one did: what was not answered by then is among the rejected.
    """

    items: tuple[T | Rejected, ...]
    outage: CodeQError | None = None

    @property
    def accepted(self) -> list[T]:
        """The answers for the accepted items."""
        return [item for item in self.items if not isinstance(item, Rejected)]

    @property
    def rejected(self) -> list[Rejected]:
        """The items that were not accepted."""
        return [item for item in self.items if isinstance(item, Rejected)]

    def all(self) -> list[T]:
        """Return all answers if every item was accepted; otherwise raise the error of the first rejected item."""
        for item in self.rejected:
            raise item.error
        return self.accepted

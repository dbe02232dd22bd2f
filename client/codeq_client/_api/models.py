"""What the server tells us, as frozen values: tasks, results, queues, subscriptions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .structure import structure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from codeq_client.errors import CodeQError

T = TypeVar("T")


class Status(StrEnum):
    """The statuses of a task."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Location(StrEnum):
    """Where the server keeps a task."""

    PENDING_LIST = "PENDING_LIST"
    DELAYED_ZSET = "DELAYED_ZSET"
    INPROG_SET = "INPROG_SET"
    DLQ_SET = "DLQ_SET"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the server described it at one moment. `payload` is decoded; unknown fields are in `extra`.

    `status` and `location` are texts, equal to members of `Status` and `Location`. `attempts` grows by one at each
    claim, and again at each NACK and each expired lease (K5, N2, N5).
    """

    id: str
    command: str
    status: str
    payload: Any = None
    priority: int = 0
    webhook: str = ""
    trace_parent: str = ""
    trace_state: str = ""
    location: str = ""
    worker_id: str = ""
    lease_until: datetime | None = None
    attempts: int = 0
    max_attempts: int = 0
    error: str = ""
    result_key: str = ""
    tenant_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the task is completed, failed or dead."""
        return self.status in {Status.COMPLETED, Status.FAILED}

    @property
    def dead(self) -> bool:
        """Whether the task is a dead letter (N4)."""
        return self.status == Status.FAILED and self.location == Location.DLQ_SET


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that belongs to a result: one at `url`, or `content` for the server to store (S5)."""

    name: str = ""
    url: str = ""
    content: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The stored end of a task (S2). `result` is what the worker returned: a wrapped scalar or list is unwrapped."""

    task_id: str
    status: str
    result: Any = None
    error: str = ""
    artifacts: tuple[Artifact, ...] = ()
    completed_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def result_as(self, kind: type[T]) -> T:
        """Return the result as a dataclass, attrs class, pydantic model or plain type; raises `DecodeError`."""
        return structure(kind, self.result)


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished task with its record (S7)."""

    task: Task
    record: Record


@dataclass(frozen=True, slots=True)
class Submission:
    """One item of a batch of results: the claimed task, and its `result` or else its `error`.

    A bare id goes to the server singly: its batch route would skip the callback of a task with a webhook (S6).
    """

    task: Task | str
    result: Any = None
    error: str = ""
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """One item of a batch of tasks to create; the fields are those of `CodeQ.create`."""

    command: str
    payload: Any
    priority: int = 0
    webhook: str = ""
    max_attempts: int = 0
    delay: float | timedelta = 0
    run_at: datetime | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How many tasks of one command and of the caller's tenant are where (M2)."""

    command: str
    ready: int
    delayed: int
    in_progress: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A queue-ready subscription and when it ends unless it is renewed (U1)."""

    id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """What became of a NACKed task: back after `delay` seconds, or `dead` (N3, N4)."""

    delay: int
    dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """How many tasks, untouched for a day as of `before`, were deleted (M3)."""

    deleted: int
    before: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """One item of a batch that was not accepted, and why."""

    index: int
    error: CodeQError


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """The answers to a batch, one for each item and in order."""

    items: tuple[T | Rejected, ...]

    @property
    def accepted(self) -> list[T]:
        """The answers of the items that were accepted."""
        return [item for item in self.items if not isinstance(item, Rejected)]

    @property
    def rejected(self) -> list[Rejected]:
        """The items that were not accepted."""
        return [item for item in self.items if isinstance(item, Rejected)]

    def all(self) -> list[T]:
        """Return the answers when every item was accepted, else raise the first refused item's error."""
        for item in self.rejected:
            raise item.error
        return self.accepted

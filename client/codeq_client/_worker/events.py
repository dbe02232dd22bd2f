"""What a worker reports to its hooks: immutable values, one class for each kind of event.

A hook is any callable that takes an event. It is called synchronously, in the worker's loop or, for `Renewed`
and `LoopBlocked`, on the thread that renews the leases; so it must be fast and thread-safe. An exception
of a hook is logged and has no other effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from codeq_client._task import Task

from .lease_timing import End


class Settled(StrEnum):
    """How a task left the worker."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    DEAD = "dead"
    ABANDONED = "abandoned"
    LOST = "lost"
    """Nothing was sent, or what was sent had no effect: another worker has the task, or will get it."""


class Loss(StrEnum):
    """Why a task was lost."""

    EXPIRED = "expired"
    """The lease could not be renewed in time."""
    REVOKED = "revoked"
    """The server gave the task to another worker, took it back, or deleted it."""
    UNANSWERED = "unanswered"
    """The server did not say whether it accepted the end of the task."""
    REFUSED = "refused"
    """The server did not allow this worker to end the task: check the token's scopes."""
    DEFECT = "defect"
    """The end could not be sent because of a bug in this package."""


@dataclass(frozen=True, slots=True)
class Started:
    """The worker starts to claim."""

    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Polled:
    """A claim was answered after `seconds`, with this number of tasks."""

    tasks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    """A claim was refused, or not answered. `orphan`: it may have leased a task that no worker handles.

    This is not certain: a connection that the server had closed before, while the loop was blocked, looks the same.
    """

    error: Exception
    orphan: bool
    retry_in: float


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A handler starts."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task left the worker. `wasted`: seconds of work without effect; `started`: the handler was called.

    `loss` says why, if the task was lost.
    """

    task: Task
    settled: Settled
    seconds: float
    wasted: float = 0.0
    detail: str = ""
    started: bool = True
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """A renewal was answered, or failed; `remaining` is how many seconds of the lease were left at that moment.

    `outcome` is "renewed", "unknown" (it will be tried again), "late" (confirmed when the lease had ended here already,
    which proves nothing), or the server's refusal.
    """

    task_id: str
    outcome: str
    remaining: float


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A running handler was cancelled, for this reason."""

    task_id: str
    end: End


@dataclass(frozen=True, slots=True)
class HandlerStuck:
    """A handler still runs `seconds` after it had to end, for this reason. It keeps its slot until it ends."""

    task: Task
    end: End
    seconds: float


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The worker's event loop has not answered for `seconds`; `stack` is where it is."""

    seconds: float
    stack: str


@dataclass(frozen=True, slots=True)
class Draining:
    """The worker has stopped claiming; this number of handlers still run."""

    running: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The worker has ended and holds no lease."""


Event: TypeAlias = (
    Started
    | Polled
    | ClaimFailed
    | TaskStarted
    | TaskEnded
    | Renewed
    | LeaseEnded
    | HandlerStuck
    | LoopBlocked
    | Draining
    | Stopped
)
"""What a worker tells its hooks."""
Hook: TypeAlias = Callable[[Event], None]
"""A function that a worker calls with each event."""

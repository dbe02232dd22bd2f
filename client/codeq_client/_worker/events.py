"""What a worker tells its hooks: frozen values, one class for each thing that happens.

A hook is any callable that takes an event. It is called at once, in the worker's loop or, for `Renewed`, `LeaseEnded`
and `LoopBlocked`, on the thread that keeps the leases; so it must be quick and safe to call from both. What it raises
is logged and has no other effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from codeq_client._api.models import Task

    from .lease import End


class Settled(StrEnum):
    """How a task was left."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    DEAD = "dead"
    ABANDONED = "abandoned"
    LOST = "lost"
    """Nothing was sent, or what was sent did not count: the task is, or will be, another worker's."""


class Loss(StrEnum):
    """Why a task was lost."""

    EXPIRED = "expired"
    """The lease could not be renewed in time."""
    REVOKED = "revoked"
    """The server gave the task to another worker, took it back, or deleted it."""
    UNANSWERED = "unanswered"
    """The server did not say whether it took the end of the task."""
    REFUSED = "refused"
    """The server did not let this worker end the task: look at the token's scopes."""
    DEFECT = "defect"
    """The end could not be sent: a defect of this package."""


@dataclass(frozen=True, slots=True)
class Started:
    """The worker claims from now on."""

    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Polled:
    """A claim was answered, with so many tasks, after so many seconds."""

    tasks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    """A claim was not answered or refused. `orphan`: it may have leased a task that nobody works on.

    It need not: a connection that the server closed before, while the loop was blocked, looks the same.
    """

    error: Exception
    orphan: bool
    retry_in: float


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A handler begins."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task left the worker. `wasted`: seconds that its handler worked for nothing; `started`: it was called.

    `loss` says why, when the task was lost.
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
    """A renewal had an outcome; `remaining` are the seconds that were left of the lease when it came.

    `outcome` is "renewed", "unknown" (it will be tried again), or the server's refusal.
    """

    task_id: str
    outcome: str
    remaining: float


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A handler was told to end, for this reason."""

    task_id: str
    end: End


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The worker's event loop has not answered for so many seconds; `stack` is where it stands."""

    seconds: float
    stack: str


@dataclass(frozen=True, slots=True)
class Draining:
    """No more claims; so many handlers still run."""

    running: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The worker has ended and holds no lease."""


Event: TypeAlias = (
    Started | Polled | ClaimFailed | TaskStarted | TaskEnded | Renewed | LeaseEnded | LoopBlocked | Draining | Stopped
)
Hook: TypeAlias = Callable[[Event], None]

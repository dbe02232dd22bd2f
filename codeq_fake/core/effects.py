"""What the core asks its caller for: effects (send a callback or notice, write a file), ids and random delays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .task import Artifact


@dataclass(frozen=True, slots=True)
class CallbackDue:
    """A try of a result callback is due: number `attempt`, from 1 (W1, W3).

    `result` is compact JSON text (T1) or None, and `artifacts` is None where the callback says null. `completed_at` is
    in ns. The outcome goes to `Broker.callback_answered`.
    """

    delivery_id: int
    attempt: int
    url: str
    task_id: str
    command: str
    status: str
    result: str | None
    error: str
    artifacts: tuple[Artifact, ...] | None
    completed_at: int
    trace_parent: str = ""
    trace_state: str = ""


class NoticeDue(NamedTuple):
    """A queue-ready notice is due now, before the create that caused it is answered (U4)."""

    subscription_id: str
    url: str
    command: str


class ArtifactStored(NamedTuple):
    """The content of an artifact has to be written to the file `path` (S5)."""

    path: str
    content: bytes


Effect = CallbackDue | NoticeDue | ArtifactStored


class Ids(Protocol):
    """Source of new ids."""

    def task_id(self) -> str:
        """A new task id (a UUIDv4 on the real server)."""

    def subscription_id(self) -> str:
        """A new subscription id (a UUIDv4 on the real server)."""

    def trace_id(self) -> str:
        """A new W3C trace id: 32 hex digits (X1)."""

    def span_id(self) -> str:
        """A new W3C span id: 16 hex digits (X1)."""


class Jitter(Protocol):
    """Source of random delays (N6)."""

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""

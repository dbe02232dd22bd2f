"""What an operation wants done in the world outside: values that the shell carries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Artifact


@dataclass(frozen=True, slots=True)
class CallbackDue:
    """Try number ``attempt`` (from 1) of a result callback is due (W1, W3).

    ``result`` is T1 text or None, ``completed_at`` ns. Whoever sends it reports back with
    :meth:`Broker.callback_answered <codeq_fake.core.Broker.callback_answered>`.
    """

    delivery_id: int
    attempt: int
    url: str
    task_id: str
    command: str
    status: str
    result: str | None
    error: str
    artifacts: tuple[Artifact, ...]
    completed_at: int
    trace_parent: str = ""
    trace_state: str = ""


@dataclass(frozen=True, slots=True)
class NoticeDue:
    """A queue-ready notice is to be sent now, before the create that caused it is answered (U4)."""

    subscription_id: str
    url: str
    command: str


@dataclass(frozen=True, slots=True)
class ArtifactStored:
    """An artifact's content belongs at ``path`` in the file system (S5)."""

    path: str
    content: bytes


Effect = CallbackDue | NoticeDue | ArtifactStored

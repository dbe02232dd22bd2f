"""A task as the server describes it. `errors` needs it too, so it stands below everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The status of a task."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Location(StrEnum):
    """The structure of the server's store that contains a task."""

    PENDING_LIST = "PENDING_LIST"
    DELAYED_ZSET = "DELAYED_ZSET"
    INPROG_SET = "INPROG_SET"
    DLQ_SET = "DLQ_SET"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the server described it at one moment. `payload` is decoded; unknown fields are in `extra`.

    A `payload` that cannot be decoded is None, its text is in `extra`, and `unreadable` says why.

    `status` and `location` are strings, equal to members of `Status` and `Location`. `attempts` grows by one at each
    claim, and by one more at each NACK and each expired lease (K5, N2, N5).
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
    unreadable: str = ""

    @property
    def ended(self) -> bool:
        """Whether the task is completed, failed or a dead letter."""
        return self.status in {Status.COMPLETED, Status.FAILED}

    @property
    def dead(self) -> bool:
        """Whether the task is a dead letter (N4)."""
        return self.status == Status.FAILED and self.location == Location.DLQ_SET

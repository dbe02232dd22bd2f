"""A task as a test sees it: what the control API returns, with names and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codeq_fake.control.representations import plain
from codeq_fake.payloads import Claimable, HistoryEvent, Location, Status, TaskInFull


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task at the moment when it was looked up. It does not change with the task.

    `payload` and `result` are decoded; `history` and `claimable` are as in `/_fake/tasks/ID`.
    """

    id: str
    command: str
    payload: Any
    status: Status
    location: Location
    priority: int
    attempts: int
    max_attempts: int
    worker: str | None
    lease_until: str | None
    error: str | None
    result: Any
    tenant: str | None
    history: tuple[HistoryEvent, ...]
    claimable: Claimable

    @classmethod
    def of(cls, shown: TaskInFull) -> TaskView:
        """From what the control API returns."""
        record = shown["result"]
        return cls(
            id=shown["id"],
            command=shown["command"],
            payload=plain(shown["payload"]),
            status=shown["status"],
            location=shown["lastKnownLocation"],
            priority=shown.get("priority", 0),
            attempts=shown.get("attempts", 0),
            max_attempts=shown["maxAttempts"],
            worker=shown.get("workerId"),
            lease_until=shown.get("leaseUntil"),
            error=shown.get("error"),
            result=record.get("result", {}) if record is not None else None,
            tenant=shown.get("tenantId"),
            history=tuple(shown["history"]),
            claimable=shown["claimable"],
        )

"""A task as a test sees it: what the control API returns, with names and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codeq_fake.control.representations import parsed, result_value
from codeq_fake.payloads import Claimable, HistoryEvent, Location, Status, TaskInFull


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task at the moment when it was looked up. It does not change with the task.

    `payload` and `result` are parsed; `history` and `claimable` are as in `/_fake/tasks/ID`.
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
    def of(cls, task: TaskInFull) -> TaskView:
        """From what the control API returns."""
        record = task["result"]
        return cls(
            id=task["id"],
            command=task["command"],
            payload=parsed(task["payload"]),
            status=task["status"],
            location=task["lastKnownLocation"],
            priority=task.get("priority", 0),
            attempts=task.get("attempts", 0),
            max_attempts=task["maxAttempts"],
            worker=task.get("workerId"),
            lease_until=task.get("leaseUntil"),
            error=task.get("error"),
            result=result_value(record) if record is not None else None,
            tenant=task.get("tenantId"),
            history=tuple(task["history"]),
            claimable=task["claimable"],
        )

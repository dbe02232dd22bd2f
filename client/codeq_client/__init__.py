"""A client for CodeQ: create tasks, wait for their results, and run workers that keep their leases.

`CodeQ` and `BlockingCodeQ` speak to a server, `Worker` runs handlers. Beside this door there are `codeq_client.errors`,
`webhooks` (receive callbacks), `testing` (for your tests), `repeats`, `health` and `metrics` (around a worker).
"""

from __future__ import annotations

from codeq_client._blocking import BlockingCodeQ
from codeq_client._client import CodeQ
from codeq_client._clock import Clock, SystemClock
from codeq_client._events import (
    ClaimFailed,
    Draining,
    Event,
    Hook,
    LeaseEnded,
    LoopBlocked,
    Loss,
    Polled,
    Renewed,
    Settled,
    Started,
    Stopped,
    TaskEnded,
    TaskStarted,
)
from codeq_client._handlers import Middleware, Next
from codeq_client._job import Job, TaskContext, current_task
from codeq_client._lease import End, LeaseTerms
from codeq_client._models import (
    Artifact,
    Batch,
    Cleanup,
    Finished,
    Location,
    NewTask,
    QueueStats,
    Record,
    Rejected,
    Requeued,
    Status,
    Submission,
    Subscription,
    Task,
)
from codeq_client._outcomes import Abandon, Complete, Fail, Outcome, Retry
from codeq_client._worker import Worker, WorkerStatus

__all__ = [
    "Abandon",
    "Artifact",
    "Batch",
    "BlockingCodeQ",
    "ClaimFailed",
    "Cleanup",
    "Clock",
    "CodeQ",
    "Complete",
    "Draining",
    "End",
    "Event",
    "Fail",
    "Finished",
    "Hook",
    "Job",
    "LeaseEnded",
    "LeaseTerms",
    "Location",
    "LoopBlocked",
    "Loss",
    "Middleware",
    "NewTask",
    "Next",
    "Outcome",
    "Polled",
    "QueueStats",
    "Record",
    "Rejected",
    "Renewed",
    "Requeued",
    "Retry",
    "Settled",
    "Started",
    "Status",
    "Stopped",
    "Submission",
    "Subscription",
    "SystemClock",
    "Task",
    "TaskContext",
    "TaskEnded",
    "TaskStarted",
    "Worker",
    "WorkerStatus",
    "current_task",
]

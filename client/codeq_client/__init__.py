"""A client for CodeQ: create tasks, wait for their results, and run workers that renew their leases.

`CodeQ` and `BlockingCodeQ` call a server, `Worker` runs handlers. Other public modules: `errors`, `schedules`,
`webhooks` (receive callbacks), `testing` (for your tests), and for workers `health`, `metrics` and `tracing`.
"""

from __future__ import annotations

from codeq_client._api.blocking_client import BlockingCodeQ
from codeq_client._api.client import CodeQ
from codeq_client._api.clock import Clock, SystemClock
from codeq_client._api.models import (
    Artifact,
    Batch,
    Cleanup,
    Command,
    Finished,
    NewTask,
    QueueStats,
    Record,
    Rejected,
    Requeued,
    Submission,
    Subscription,
    TaskOptions,
    Topic,
    TopicPolicy,
)
from codeq_client._task import Location, Status, Task
from codeq_client._worker.events import (
    ClaimFailed,
    Draining,
    Event,
    HandlerStuck,
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
from codeq_client._worker.handler_process import ProcessContext
from codeq_client._worker.handlers import Policy, Rate
from codeq_client._worker.job import Job, TaskContext, current_task
from codeq_client._worker.job_batches import in_batches
from codeq_client._worker.lease_timing import End, LeaseTerms
from codeq_client._worker.middleware import Middleware, Next, keep_first_result
from codeq_client._worker.outcomes import Abandon, Complete, Fail, Outcome, Retry
from codeq_client._worker.registry import Registry
from codeq_client._worker.worker import Worker, WorkerStatus

__all__ = [
    "Abandon",
    "Artifact",
    "Batch",
    "BlockingCodeQ",
    "ClaimFailed",
    "Cleanup",
    "Clock",
    "CodeQ",
    "Command",
    "Complete",
    "Draining",
    "End",
    "Event",
    "Fail",
    "Finished",
    "HandlerStuck",
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
    "Policy",
    "Polled",
    "ProcessContext",
    "QueueStats",
    "Rate",
    "Record",
    "Registry",
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
    "TaskOptions",
    "TaskStarted",
    "Topic",
    "TopicPolicy",
    "Worker",
    "WorkerStatus",
    "current_task",
    "in_batches",
    "keep_first_result",
]

"""The table of operations: the 17 routes of the contract, their callers (A5 to A8) and their limits (L1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from . import admin_calls, producer_calls, subscription_calls, worker_calls
from .metrics import metrics
from .replies import Reply, Wait
from .request import Call

Handler: TypeAlias = Callable[[Call], Reply | Wait]
Right = Literal["anyone", "producer", "worker", "reader", "admin"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `scope` is that of a worker's token (A5); `limit` is the rate limit's scope and operation (L1)."""

    clause: str
    name: str
    method: str
    path: str
    handler: Handler
    right: Right
    scope: str = ""
    limit: tuple[str, str] | None = None
    reads_body: bool = True


_CREATE = ("producer", "create_task")
_CLAIM = ("worker", "claim")
_CLEANUP = ("admin", "cleanup")

_TASKS = "/v1/codeq/tasks"
_TASK = _TASKS + "/{id}"
_SUBSCRIPTIONS = "/v1/codeq/workers/subscriptions"
_SUBSCRIPTION = _SUBSCRIPTIONS + "/{id}"
_ADMIN = "/v1/codeq/admin"

#: In the order of matching: fixed paths before paths with an id, the most used ones first.
OPERATIONS = (
    Operation("R3", "claim", "POST", f"{_TASKS}/claim", worker_calls.claim, "worker", "codeq:claim", _CLAIM),
    Operation("R1", "create", "POST", _TASKS, producer_calls.create, "producer", limit=_CREATE),
    Operation("R8", "submit", "POST", f"{_TASK}/result", worker_calls.submit, "worker", "codeq:result"),
    Operation("R5", "heartbeat", "POST", f"{_TASK}/heartbeat", worker_calls.heartbeat, "worker", "codeq:heartbeat"),
    Operation("R7", "nack", "POST", f"{_TASK}/nack", worker_calls.nack, "worker", "codeq:nack"),
    Operation(
        "R6", "abandon", "POST", f"{_TASK}/abandon", worker_calls.abandon, "worker", "codeq:abandon", reads_body=False
    ),
    Operation("R12", "get", "GET", _TASK, admin_calls.get, "reader", reads_body=False),
    Operation("R13", "result", "GET", f"{_TASK}/result", admin_calls.result, "reader", reads_body=False),
    Operation("R2", "create_batch", "POST", f"{_TASKS}/batch", producer_calls.create_batch, "producer", limit=_CREATE),
    Operation(
        "R4", "claim_batch", "POST", f"{_TASKS}/claim/batch", worker_calls.claim_batch, "worker", "codeq:claim", _CLAIM
    ),
    Operation(
        "R9", "submit_batch", "POST", f"{_TASKS}/batch/results", worker_calls.submit_batch, "worker", "codeq:result"
    ),
    Operation("R10", "subscribe", "POST", _SUBSCRIPTIONS, subscription_calls.subscribe, "worker", "codeq:subscribe"),
    Operation(
        "R11", "renew", "POST", f"{_SUBSCRIPTION}/heartbeat", subscription_calls.renew, "worker", "codeq:subscribe"
    ),
    Operation("R14", "queues", "GET", f"{_ADMIN}/queues", admin_calls.queues, "admin", reads_body=False),
    Operation("R15", "queue", "GET", f"{_ADMIN}/queues/{{command}}", admin_calls.queue, "admin", reads_body=False),
    Operation("R16", "cleanup", "POST", f"{_ADMIN}/tasks/cleanup", admin_calls.cleanup, "admin", limit=_CLEANUP),
    Operation("R17", "metrics", "GET", "/metrics", metrics, "anyone", reads_body=False),
)

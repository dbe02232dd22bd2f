"""The contract's surface as data: the 17 routes, who may call each, and what bounds it (section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from . import admin_calls, producer_calls, worker_calls
from .metrics import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from .replies import Reply
    from .request import Call, Wait

Right = Literal["anyone", "producer", "worker", "reader", "admin"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. ``scope`` is what a worker's token needs (A5), ``limit`` the rate limit's scope and operation (L1)."""

    clause: str
    name: str
    method: str
    path: str
    handler: Callable[[Call], Reply | Wait]
    right: Right
    scope: str = ""
    limit: tuple[str, str] | None = None
    bad_body: str = "invalid body"  # B2
    reads_body: bool = True


_CREATE = ("producer", "create_task")
_CLAIM = ("worker", "claim")
_CLEANUP = ("admin", "cleanup")

_TASKS = "/v1/codeq/tasks"
_TASK = _TASKS + "/{id}"
_SUBSCRIPTIONS = "/v1/codeq/workers/subscriptions"
_ADMIN = "/v1/codeq/admin"

#: In the order in which they are matched: fixed paths before those with an id, the busiest first.
OPERATIONS = (
    Operation("R3", "claim", "POST", f"{_TASKS}/claim", worker_calls.claim, "worker", "codeq:claim", _CLAIM),
    Operation("R1", "create", "POST", _TASKS, producer_calls.create, "producer", limit=_CREATE),
    Operation(
        "R8",
        "submit",
        "POST",
        f"{_TASK}/result",
        worker_calls.submit,
        "worker",
        "codeq:result",
        bad_body="invalid request body",
    ),
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
    Operation("R10", "subscribe", "POST", _SUBSCRIPTIONS, admin_calls.subscribe, "worker", "codeq:subscribe"),
    Operation(
        "R11", "renew", "POST", f"{_SUBSCRIPTIONS}/{{id}}/heartbeat", admin_calls.renew, "worker", "codeq:subscribe"
    ),
    Operation("R14", "queues", "GET", f"{_ADMIN}/queues", admin_calls.queues, "admin", reads_body=False),
    Operation("R15", "queue", "GET", f"{_ADMIN}/queues/{{command}}", admin_calls.queue, "admin", reads_body=False),
    Operation("R16", "cleanup", "POST", f"{_ADMIN}/tasks/cleanup", admin_calls.cleanup, "admin", limit=_CLEANUP),
    Operation("R17", "metrics", "GET", "/metrics", metrics, "anyone", reads_body=False),
)

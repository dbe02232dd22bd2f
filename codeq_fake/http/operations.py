"""The table of operations: the 17 routes of the contract, their callers (A5 to A8) and their limits (L1).

Each handler names its clause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from codeq_fake.core.slices import Slices
from codeq_fake.wire import Struct

from . import admin_calls, bodies, producer_calls, subscription_calls, task_calls, topic_calls, worker_calls
from .metrics import metrics
from .replies import Reply, Wait
from .request import Call

Handler: TypeAlias = Callable[[Call], Reply | Wait]
#: A handler that may also need a while, and answers in slices.
AnyHandler: TypeAlias = Callable[[Call], Reply | Wait | Slices[Reply]]
Right = Literal["anyone", "producer", "worker", "reader", "admin"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `right` says who may call it (A5 to A8), and `scope` what a worker's token needs for it (A5).

    `body` has the fields of its body, None if it reads none. `limit` is the scope of its rate limit, and the name under
    which refusals are counted (L1).
    """

    name: str
    method: str
    path: str
    handler: AnyHandler
    right: Right
    body: Struct | None = None
    scope: str = ""
    limit: tuple[str, str] | None = None


_CREATE = ("producer", "create_task")
_CLAIM = ("worker", "claim")
_CLEANUP = ("admin", "cleanup")

_TASKS = "/v1/codeq/tasks"
_TASK = _TASKS + "/{id}"
_SUBSCRIPTIONS = "/v1/codeq/workers/subscriptions"
_SUBSCRIPTION = _SUBSCRIPTIONS + "/{id}"
_ADMIN = "/v1/codeq/admin"
_TOPIC = _ADMIN + "/topics/{name}"

#: Paths without an id are looked up first (`routes`). The others are tried in this order, the most used ones first.
OPERATIONS = (
    Operation("claim", "POST", f"{_TASKS}/claim", worker_calls.claim, "worker", bodies.CLAIM, "codeq:claim", _CLAIM),
    Operation("create", "POST", _TASKS, producer_calls.create, "producer", bodies.CREATE, limit=_CREATE),
    Operation("submit", "POST", f"{_TASK}/result", worker_calls.submit, "worker", bodies.SUBMIT, "codeq:result"),
    Operation(
        "heartbeat",
        "POST",
        f"{_TASK}/heartbeat",
        worker_calls.heartbeat,
        "worker",
        bodies.HEARTBEAT,
        "codeq:heartbeat",
    ),
    Operation("nack", "POST", f"{_TASK}/nack", worker_calls.nack, "worker", bodies.NACK, "codeq:nack"),
    Operation("abandon", "POST", f"{_TASK}/abandon", worker_calls.abandon, "worker", None, "codeq:abandon"),
    Operation("get", "GET", _TASK, task_calls.get, "reader"),
    Operation("result", "GET", f"{_TASK}/result", task_calls.result, "reader"),
    Operation(
        "create_batch",
        "POST",
        f"{_TASKS}/batch",
        producer_calls.create_batch,
        "producer",
        bodies.CREATE_BATCH,
        limit=_CREATE,
    ),
    Operation(
        "claim_batch",
        "POST",
        f"{_TASKS}/claim/batch",
        worker_calls.claim_batch,
        "worker",
        bodies.CLAIM_BATCH,
        "codeq:claim",
        _CLAIM,
    ),
    Operation(
        "submit_batch",
        "POST",
        f"{_TASKS}/batch/results",
        worker_calls.submit_batch,
        "worker",
        bodies.SUBMIT_BATCH,
        "codeq:result",
    ),
    Operation(
        "subscribe",
        "POST",
        _SUBSCRIPTIONS,
        subscription_calls.subscribe,
        "worker",
        bodies.SUBSCRIBE,
        "codeq:subscribe",
    ),
    Operation(
        "renew",
        "POST",
        f"{_SUBSCRIPTION}/heartbeat",
        subscription_calls.renew,
        "worker",
        bodies.RENEW,
        "codeq:subscribe",
    ),
    Operation("queues", "GET", f"{_ADMIN}/queues", admin_calls.queues, "admin"),
    Operation("queue", "GET", f"{_ADMIN}/queues/{{command}}", admin_calls.queue, "admin"),
    Operation(
        "cleanup",
        "POST",
        f"{_ADMIN}/tasks/cleanup",
        admin_calls.cleanup,
        "admin",
        bodies.CLEANUP,
        limit=_CLEANUP,
    ),
    Operation("metrics", "GET", "/metrics", metrics, "anyone"),
)

#: The names of those that claim tasks.
CLAIMS = frozenset({"claim", "claim_batch"})

#: On versions that have topics.
TOPIC_OPERATIONS = (
    Operation("raft_status", "GET", "/v1/codeq/raft/status", topic_calls.raft_status, "reader"),
    Operation("put_topic", "PUT", _TOPIC, topic_calls.put, "admin", bodies.NONE),
    Operation("topic", "GET", _TOPIC, topic_calls.get, "admin"),
    Operation("delete_topic", "DELETE", _TOPIC, topic_calls.delete, "admin"),
)

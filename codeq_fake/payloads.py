"""Payloads: the JSON of the control API, and what a fake in a test shows, as types for type checkers.

Times are RFC 3339 texts in UTC. The names of fields are those of the JSON.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, Required, TypeAlias, TypedDict

Profile: TypeAlias = Literal[
    "redis",
    "kvrocks-2.8",
    "kvrocks-2.9",
    "v0.3.3/redis",
    "v0.3.3/kvrocks-2.8",
    "v0.3.3/kvrocks-2.9",
    "main/redis",
    "main/kvrocks-2.8",
    "main/kvrocks-2.9",
    "main/pebble",
]
"""A store profile: the store behind the real server (K8)."""

DEFAULT_PROFILE: Profile = "kvrocks-2.8"
"""The store of CodeQ's own deployment files."""

ClockMode: TypeAlias = Literal["real", "manual", "auto"]
"""How time passes."""

Status: TypeAlias = Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"]
"""The status of a task."""

Location: TypeAlias = Literal["PENDING_LIST", "DELAYED_ZSET", "INPROG_SET", "DLQ_SET", "NONE"]
"""The place of a task in the store."""

CallbackKind: TypeAlias = Literal["task_result", "queue_ready"]
"""A result callback (W1), or a queue-ready notice (U3)."""

FaultKind: TypeAlias = Literal[
    "drop_reply",
    "refuse",
    "reset",
    "delay",
    "hang",
    "garble",
    "expire_lease",
    "clock_skew",
    "callback_lost",
    "callback_twice",
    "callback_late",
    "redeliver_finished",
    "lose_task",
    "revoke_lease",
    "false_empty",
    "accept_result_twice",
    "double_create",
    "undo_end",
]
"""A kind of fault: the name of its function in `codeq_fake.faults`."""


class Clock(TypedDict):
    """The clock: `GET /_fake/clock`."""

    now: str
    mode: ClockMode


class Health(TypedDict):
    """The fake and its clock: `GET /_fake/health`."""

    status: Literal["ok"]
    version: str
    profile: str
    now: str
    clock: ClockMode


class Happened(TypedDict):
    """How many leases and delays ended while the clock was advanced, and how many callbacks were tried."""

    leasesOver: int
    delaysDue: int
    callbacksTried: int


class Advanced(TypedDict):
    """The clock after an advance, how many timers fired, and what was due: `POST /_fake/clock/advance`.

    `digest` says in words what `happened`.
    """

    now: str
    fired: int
    happened: Happened
    digest: str


class State(TypedDict):
    """The state of a task."""

    status: Status
    location: Location


HistoryEvent = TypedDict("HistoryEvent", {"at": str, "what": str, "by": str | None, "from": State | None, "to": State})
"""One event in the life of a task."""


class Claimable(TypedDict):
    """Whether a task can be claimed now. If not: why, and from when on it can, if that is known."""

    now: bool
    reason: str | None
    since: str | None


class ArtifactLink(TypedDict):
    """An artifact of a result (S5)."""

    name: str
    url: str


class Record(TypedDict):
    """The result of a task (S2)."""

    taskId: str
    status: Status
    result: NotRequired[dict[str, Any]]
    error: NotRequired[str]
    artifacts: NotRequired[list[ArtifactLink]]
    completedAt: str


class Task(TypedDict):
    """A task as CodeQ's own API shows it. `payload` is a text that holds JSON (T1)."""

    id: str
    command: str
    payload: str
    priority: NotRequired[int]
    webhook: NotRequired[str]
    traceParent: NotRequired[str]
    traceState: NotRequired[str]
    status: Status
    lastKnownLocation: Location
    workerId: NotRequired[str]
    leaseUntil: NotRequired[str]
    attempts: NotRequired[int]
    maxAttempts: int
    error: NotRequired[str]
    resultKey: NotRequired[str]
    tenantId: NotRequired[str]
    createdAt: str
    updatedAt: str


class ListedTask(Task):
    """A task in a list: `GET /_fake/tasks`. `state` is a word such as `ready`; `over` has a lease that has run out."""

    state: str
    stateSince: str


class TaskInFull(Task):
    """A task with its result, its history and whether it can be claimed: `GET /_fake/tasks/{id}`."""

    result: Record | None
    history: list[HistoryEvent]
    claimable: Claimable


class TouchedTask(TypedDict):
    """A task that a request created, claimed or named."""

    id: str
    command: str


Request = TypedDict(
    "Request",
    {
        "n": int,
        "at": str,
        "method": str,
        "path": str,
        "as": str | None,
        "operation": str | None,
        "tasks": list[TouchedTask],
        "headers": dict[str, str],
        "body": str,
        "status": int | None,
        "reason": str | None,
        "faults": list[FaultKind],
        "reply": str,
        "tookMs": float,
    },
)
"""A request with its reply: `GET /_fake/requests`. `as` is the caller, `reason` says why it was refused.

`status` is None if a fault prevented a reply. `tookMs` is how long it took by the fake's clock.
"""


class Try(TypedDict):
    """One try of a callback: the status or the error that came back."""

    at: str
    status: int | None
    error: str | None
    faults: list[FaultKind]


class Callback(TypedDict):
    """A result callback or queue-ready notice with its tries: `GET /_fake/callbacks`.

    `state` is `pending`, `delivered`, `failed` or `blocked`.
    """

    n: int
    kind: CallbackKind
    url: str
    command: str
    taskId: str | None
    subscriptionId: str | None
    #: Not a Literal: a checker would believe that `codeq.callbacks[0]["state"]` stays what a test has asserted before.
    state: str
    blocked: bool
    headers: dict[str, str]
    body: str
    tries: list[Try]


class Place(TypedDict):
    """The place of a ready task among the `total` ones of its queue. `number` counts from 1; None is far behind."""

    number: int | None
    total: int


LatestClaim = TypedDict("LatestClaim", {"n": int, "at": str, "as": str | None, "got": str})
"""The latest claim of one worker, request number `n`: what it got, or why it got nothing."""


class TaskStory(TaskInFull):
    """A task with all that the journals know about it: `GET /_fake/tasks/{id}/story`.

    `state` is a word as in a list. `place` is None for a task that is not ready; for one that is, `latestClaims` are
    those of the last workers.
    """

    state: str
    place: Place | None
    latestClaims: list[LatestClaim]
    requests: list[Request]
    callbacks: list[Callback]


class Queue(TypedDict):
    """How many tasks of a tenant and command are in each place: `GET /_fake/queues`."""

    tenant: str
    command: str
    ready: int
    readyByPriority: list[int]
    delayed: int
    inProgress: int
    dlq: int
    nextDue: str | None
    nextLeaseEnd: str | None


class Queues(TypedDict):
    """All queues, and the number of claims that wait for a task: `GET /_fake/queues`."""

    queues: list[Queue]
    parkedClaims: int


class Worker(TypedDict):
    """What the journal knows of one worker: `GET /_fake/workers`.

    `worker` is None for requests without a known caller. `commands` are those of its last claim, none for all that its
    token allows; `claimed` says in words what that claim got, or why it got nothing. `leases` are those that it holds.
    """

    worker: str | None
    tenant: str | None
    lastRequest: str
    lastClaim: str | None
    commands: list[str]
    claimed: str | None
    leases: int
    requests: int
    refused: int


class Identity(TypedDict):
    """A caller that a fake knows. Its token is its name unless it has a `token`; `claims` are those of a JWT."""

    kind: Literal["producer", "worker"]
    token: NotRequired[str]
    claims: NotRequired[dict[str, Any]]
    alg: NotRequired[str]
    kid: NotRequired[str]


class FaultRule(TypedDict, total=False):
    """A fault rule, as `POST /_fake/faults` and `codeq.faults` take it. `codeq_fake.faults.Rule` has its fields."""

    do: Required[FaultKind]
    on: str
    worker: str
    command: str
    task: str
    nth: int
    times: int
    probability: float
    seed: int
    seconds: float
    status: int
    body: Any
    headers: dict[str, str]
    retryAfter: int
    how: Literal["cut", "malformed"]


class Fault(FaultRule):
    """An active fault rule, how many requests or callbacks it matched, and how many faults it caused."""

    id: int
    met: int
    fired: int


class Faults(TypedDict):
    """Fault rules: `/_fake/faults`."""

    faults: list[Fault]


class Surprise(TypedDict):
    """What CodeQ's documents `said`, what is `done` instead, and its clause: `GET /_fake/surprises`.

    `request` is the number of the first request that showed it, None for a setting.
    """

    rule: str
    clause: str
    said: str
    done: str
    request: int | None

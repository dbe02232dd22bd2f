"""The API's calls as values: what to send, with whose token, how to read the answer, and whether it may be repeated.

Nothing here performs anything. Arguments that the server would refuse, or silently read otherwise, raise
`ConfigurationError`.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

from codeq_client.errors import ConfigurationError, EncodeError

from . import decoding
from .conversion import dumps, wrap_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .models import (
        Artifact,
        Cleanup,
        Finished,
        NewTask,
        QueueStats,
        Record,
        Requeued,
        Subscription,
        Task,
    )

T = TypeVar("T")

MAX_BATCH = 100  # C9, S6
MAX_CLAIM_BATCH = 10  # K10
MAX_WAIT_SECONDS = 30  # K2


_ACCEPT = (("accept", "application/json"),)


class Role(Enum):
    """Whose token a call carries; `READER` is the worker's or, without one, the producer's (A7)."""

    PRODUCER = "producer"
    WORKER = "worker"
    READER = "reader"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  # whatever the server sent; raises ValueError when it is no JSON
        """Return the decoded body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `repeatable` says that sending it twice does what sending it once does.

    `wait` are the seconds that the server may hold the answer back; `missing` is what a "not found" means here.
    """

    method: str
    path: str
    role: Role
    parse: Callable[[Reply], T]
    body: bytes | None = None
    repeatable: bool = False
    wait: float = 0
    missing: str = "task"
    headers: tuple[tuple[str, str], ...] = _ACCEPT


def create(new: NewTask, *, trace_parent: str = "") -> Call[Task]:
    """R1. The idempotency key, ours when none is given, makes it repeatable (C8)."""
    item = new_item(new)
    return Call(
        "POST",
        "/v1/codeq/tasks",
        Role.PRODUCER,
        lambda reply: decoding.task(reply.json()),
        item.body,
        repeatable=item.keyed,
        headers=_traced(trace_parent),
    )


def create_batch(items: Sequence[NewItem], *, trace_parent: str = "") -> Call[list[Any]]:
    """R2, at most `MAX_BATCH` items; the answers are the server's objects (C9)."""
    return Call(
        "POST",
        "/v1/codeq/tasks/batch",
        Role.PRODUCER,
        lambda reply: _answers(reply, len(items)),
        b'{"tasks":[%b]}' % b",".join(item.body for item in items),
        repeatable=all(item.keyed for item in items),
        headers=_traced(trace_parent),
    )


def _traced(trace_parent: str) -> tuple[tuple[str, str], ...]:
    return (*_ACCEPT, ("traceparent", trace_parent)) if trace_parent else _ACCEPT


@dataclass(frozen=True, slots=True)
class NewItem:
    """A task to create, encoded, and whether it carries an idempotency key."""

    body: bytes
    keyed: bool


def new_item(new: NewTask) -> NewItem:
    """Return the task as it travels; raises `ConfigurationError`, and `EncodeError` for its payload."""
    if not new.command.strip():  # C2
        raise ConfigurationError("command is empty")
    if new.payload is None:
        raise EncodeError("the server takes no null payload; send {}")
    # C8: keys are global, across tenants and commands, so one of ours must never meet another.
    key = str(uuid4()) if new.idempotency_key is None else new.idempotency_key
    if new.delay and new.run_at:
        raise ConfigurationError("give either delay or run_at: the server would ignore the delay (C6)")
    body: dict[str, Any] = {"command": new.command, "payload": new.payload, "idempotencyKey": key}
    optional = {
        "priority": new.priority,
        "webhook": new.webhook,
        "maxAttempts": new.max_attempts,
        "delaySeconds": whole_seconds(new.delay, "delay"),
        "runAt": _instant(new.run_at, "run_at"),
    }
    return NewItem(dumps(body | {name: value for name, value in optional.items() if value}), bool(key.strip()))


def claim(commands: Sequence[str], *, lease: float, wait: float) -> Call[Task | None]:
    """R3. Never repeated: a lost answer may have leased a task already."""
    held_back = min(whole_seconds(wait, "wait"), MAX_WAIT_SECONDS)
    return Call(
        "POST",
        "/v1/codeq/tasks/claim",
        Role.WORKER,
        lambda reply: None if reply.status == 204 else decoding.task(reply.json()),  # noqa: PLR2004  # No Content (K3)
        dumps({**_claimed(commands, lease), "waitSeconds": held_back}),
        wait=held_back,
    )


def claim_batch(commands: Sequence[str], *, lease: float, count: int) -> Call[list[Task]]:
    """R4, at most `MAX_CLAIM_BATCH` tasks, without waiting. Never repeated, as `claim`."""
    return Call(
        "POST",
        "/v1/codeq/tasks/claim/batch",
        Role.WORKER,
        lambda reply: [] if reply.status == 204 else [decoding.task(item) for item in reply.json()["tasks"]],  # noqa: PLR2004  # HTTP's own numbers
        dumps({**_claimed(commands, lease), "count": count}),
    )


def _claimed(commands: Sequence[str], lease: float) -> dict[str, Any]:
    if isinstance(commands, str):
        raise ConfigurationError("commands is one text; pass a list")
    return {"leaseSeconds": whole_seconds(lease, "lease")} | ({"commands": list(commands)} if commands else {})


def heartbeat(task_id: str, *, extend: float) -> Call[None]:
    """R5. The lease ends `extend` seconds from now, which may be sooner than before (H1)."""
    seconds = whole_seconds(extend, "extend")
    if not seconds:
        raise ConfigurationError("extend must be positive: the server would take its default, 300 s (H1)")
    return Call(
        "POST",
        _of_task(task_id, "heartbeat"),
        Role.WORKER,
        _nothing,
        dumps({"extendSeconds": seconds}),
        repeatable=True,
    )


def abandon(task_id: str) -> Call[None]:
    """R6. Never repeated blindly: a second one would take the task from whoever claimed it after the first."""
    return Call("POST", _of_task(task_id, "abandon"), Role.WORKER, _nothing)


def nack(task_id: str, *, delay: float | timedelta, reason: str) -> Call[Requeued]:
    """R7. Never repeated blindly, as `abandon`. Without a delay the server's backoff decides (N3)."""
    body = {"delaySeconds": whole_seconds(delay, "delay"), "reason": _readable(reason)}
    return Call(
        "POST", _of_task(task_id, "nack"), Role.WORKER, lambda reply: decoding.requeued(reply.json()), dumps(body)
    )


def submit(task_id: str, *, result: object, error: str, artifacts: Sequence[Artifact]) -> Call[Record]:
    """R8: FAILED with `error` when there is one, else COMPLETED with `result`."""
    return Call(
        "POST",
        _of_task(task_id, "result"),
        Role.WORKER,
        lambda reply: decoding.record(reply.json()),
        dumps(_end(result, error) | {"artifacts": [_artifact(item) for item in artifacts]}),
    )


def submit_batch(items: Sequence[bytes]) -> Call[list[Any]]:
    """R9, at most `MAX_BATCH` of what `end_item` returns; the answers are the server's objects (S6)."""
    return Call(
        "POST",
        "/v1/codeq/tasks/batch/results",
        Role.WORKER,
        lambda reply: _answers(reply, len(items)),
        b'{"results":[%b]}' % b",".join(items),
    )


def end_item(task_id: str, result: object, error: str) -> bytes:
    """Return one task's end as it travels in a batch; raises `EncodeError`."""
    return dumps({"taskId": task_id, **_end(result, error)})


def _answers(reply: Reply, count: int) -> list[Any]:
    answers = list(reply.json()["results"])
    if len(answers) != count:
        raise ValueError(f"{len(answers)} answers to {count} items")
    return answers


def _end(result: object, error: str) -> dict[str, Any]:
    if error:
        text = _readable(error) if error.strip() else "unknown error"  # S1: blank is missing
        return {"status": "FAILED", "error": text}
    return {"status": "COMPLETED", "result": wrap_result(result)}


def _readable(text: str) -> str:
    """Return an error's text without lone surrogates, as names of files have them: it is for people to read."""
    return text.encode(errors="replace").decode()


def _artifact(artifact: Artifact) -> dict[str, str]:
    body = {"name": artifact.name, "url": artifact.url, "contentType": artifact.content_type}
    if not artifact.url:
        body["contentBase64"] = base64.b64encode(artifact.content).decode()
    return {name: value for name, value in body.items() if value}


def subscribe(
    callback_url: str, *, commands: Sequence[str], ttl: float, mode: str, group: str, min_interval: float
) -> Call[Subscription]:
    """R10."""
    body = {
        "callbackUrl": callback_url,
        "eventTypes": list(commands),
        "ttlSeconds": whole_seconds(ttl, "ttl"),
        "deliveryMode": mode,
        "groupId": group,
        "minIntervalSeconds": whole_seconds(min_interval, "min_interval"),
    }
    return Call(
        "POST",
        "/v1/codeq/workers/subscriptions",
        Role.WORKER,
        lambda reply: decoding.subscription(reply.json()),
        dumps({name: value for name, value in body.items() if value}),
    )


def renew_subscription(subscription_id: str, *, ttl: float) -> Call[Subscription]:
    """R11."""
    return Call(
        "POST",
        f"/v1/codeq/workers/subscriptions/{_segment(subscription_id)}/heartbeat",
        Role.WORKER,
        lambda reply: decoding.subscription(reply.json()),
        dumps({"ttlSeconds": whole_seconds(ttl, "ttl")}),
        repeatable=True,
        missing="subscription",
    )


def get(task_id: str) -> Call[Task]:
    """R12."""
    return Call("GET", _of_task(task_id), Role.READER, lambda reply: decoding.task(reply.json()), repeatable=True)


def result(task_id: str) -> Call[Finished]:
    """R13."""
    path = _of_task(task_id, "result")
    return Call("GET", path, Role.READER, lambda reply: decoding.finished(reply.json()), repeatable=True)


def queue_sizes() -> Call[dict[str, int]]:
    """R14."""
    read = decoding.queue_sizes
    return Call("GET", "/v1/codeq/admin/queues", Role.ADMIN, lambda reply: read(reply.json()), repeatable=True)


def queue_stats(command: str) -> Call[QueueStats]:
    """R15."""
    path = f"/v1/codeq/admin/queues/{_segment(command)}"
    return Call("GET", path, Role.ADMIN, lambda reply: decoding.queue_stats(reply.json()), repeatable=True)


def cleanup(*, limit: int, before: datetime | None) -> Call[Cleanup]:
    """R16."""
    body = {"limit": limit, "before": _instant(before, "before")}
    return Call(
        "POST",
        "/v1/codeq/admin/tasks/cleanup",
        Role.ADMIN,
        lambda reply: decoding.cleanup(reply.json()),
        dumps({name: value for name, value in body.items() if value}),
        repeatable=True,
    )


def whole_seconds(duration: float | timedelta, name: str) -> int:
    """Return `duration` in the server's unit, rounded up so that nothing happens sooner than asked."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"{name} must be a finite number of seconds, 0 or more, not {duration}")
    return math.ceil(seconds)


def _instant(moment: datetime | None, name: str) -> str:
    if moment is None:
        return ""
    if moment.tzinfo is None:
        raise ConfigurationError(f"{name} has no time zone; use datetime(..., tzinfo=UTC)")
    return moment.astimezone(UTC).isoformat()  # an offset with seconds is no RFC 3339


def _of_task(task_id: str, operation: str = "") -> str:
    path = f"/v1/codeq/tasks/{_segment(task_id)}"
    return f"{path}/{operation}" if operation else path


def _segment(text: str) -> str:
    if not text.strip(".") or "/" in text:  # "", "." and ".." would be another path
        raise ConfigurationError(f"{text!r} cannot be the id of anything")
    return quote(text, safe="")


def _nothing(reply: Reply) -> None:
    reply.json()

"""The calls of the API (R1 to R16, G3) as values: what to send, with which token, how to read the answer.

Nothing is sent here. Arguments that the server would refuse, or silently read otherwise, raise `ConfigurationError`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, Unpack, overload

from codeq_client._task import Task
from codeq_client.errors import ConfigurationError, NotFound, SubscriptionNotFound, TaskNotFound

from . import reply_bodies, request_bodies
from .arguments import check_number, check_text, instant, path_segment, texts, whole_seconds, without_surrogates
from .json_values import dumps
from .limits import MAX_RESULT_WAIT_SECONDS, MAX_WAIT_SECONDS
from .models import (
    Artifact,
    Cleanup,
    Command,
    CreateOptions,
    Finished,
    NewTask,
    QueueStats,
    Record,
    Requeued,
    Subscription,
    Topic,
    TopicPolicy,
)

T = TypeVar("T")
P = TypeVar("P")


_TASKS = "/v1/codeq/tasks"
_SUBSCRIPTIONS = "/v1/codeq/workers/subscriptions"
_ACCEPT = (("accept", "application/json"),)


class Role(Enum):
    """The token that a call carries; `READER` is the worker's or, without one, the producer's (A7)."""

    PRODUCER = "producer"
    WORKER = "worker"
    READER = "reader"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the decoded body; raises `ValueError` if it is not JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and how to read its answer.

    `decode` turns the JSON of the answer into a value; `on_no_content` gives the value for a 204. `repeatable` says
    that sending the call twice has the same effect as sending it once. `wait` is for how many seconds the server may
    delay its answer. `missing` is the error for "not found".
    """

    method: str
    path: str
    role: Role
    decode: Callable[[Any], T]
    body: bytes | None = None
    repeatable: bool = False
    wait: float = 0
    missing: type[NotFound] = TaskNotFound
    headers: tuple[tuple[str, str], ...] = _ACCEPT
    on_no_content: Callable[[], T] | None = None


@overload
def create(command: str, payload: Any, **options: Unpack[CreateOptions]) -> Call[Task]: ...  # noqa: ANN401 - any JSON
@overload
def create(command: Command[P, Any], payload: P, **options: Unpack[CreateOptions]) -> Call[Task]: ...
def create(  # the fields that the server takes
    command: str | Command[Any, Any],
    payload: Any,
    *,
    priority: int = 0,
    webhook: str = "",
    max_attempts: int = 0,
    delay: float | timedelta = 0,
    run_at: datetime | None = None,
    idempotency_key: str | None = None,
    trace_parent: str = "",
) -> Call[Task]:
    """Create a task (R1) and return it as the server accepted it.

    `payload` may be any JSON value except null, a dataclass, an attrs object or a pydantic model; with a `Command`,
    type checkers require the command's type. `priority` is 0 to 9, and 9 is claimed first. `max_attempts` 0 means the
    server's default. `delay` is in seconds or a `timedelta`; `run_at` needs a time zone. The task may become ready up
    to a second early (C7).

    By default each call gets a new idempotency key, so that it is safely retried. With your own key, the same task is
    returned for 24 hours, in its present state (C8). With "" the task has no key, and the call is not retried.
    `trace_parent` is a `traceparent` header, see `codeq_client.tracing.current_trace_parent`.

    Raises `EncodeError` for a value that JSON or the server would change, and the errors of `codeq_client.errors`.
    """
    new = NewTask(
        command=command.name if isinstance(command, Command) else command,
        payload=payload,
        priority=priority,
        webhook=webhook,
        max_attempts=max_attempts,
        delay=delay,
        run_at=run_at,
        idempotency_key=idempotency_key,
    )
    item = request_bodies.new_item(new, new.take_key())
    headers = _with_trace(trace_parent)
    return Call("POST", _TASKS, Role.PRODUCER, reply_bodies.task, item.body, repeatable=item.keyed, headers=headers)


def create_batch(items: Sequence[request_bodies.NewItem], *, trace_parent: str = "") -> Call[list[Any]]:
    """Create at most `MAX_BATCH` tasks (R2); the answers are the server's objects (C9)."""
    body = b'{"tasks":[%b]}' % b",".join(item.body for item in items)
    repeatable, headers = all(item.keyed for item in items), _with_trace(trace_parent)
    return Call(
        "POST", f"{_TASKS}/batch", Role.PRODUCER, _answers_to(items), body, repeatable=repeatable, headers=headers
    )


def claim(commands: Sequence[str] = (), *, lease: float = 60, wait: float = 0) -> Call[Task | None]:
    """Claim one task for `lease` seconds (R3), and wait up to `wait` seconds (30 at most) for one.

    Without `commands`: the event types of the token (K1). A claim that was sent is never retried, because a lost
    answer may have leased a task.
    """
    seconds = min(whole_seconds(wait, "wait"), MAX_WAIT_SECONDS)
    body = dumps({**_fields_of_claim(commands, lease), "waitSeconds": seconds})
    return Call(
        "POST", f"{_TASKS}/claim", Role.WORKER, reply_bodies.task, body, wait=seconds, on_no_content=lambda: None
    )


def claim_batch(commands: Sequence[str], *, lease: float, count: int) -> Call[list[Task]]:
    """Claim at most `MAX_CLAIM_BATCH` tasks, without waiting (R4). Never repeated, as `claim`."""
    body = dumps({**_fields_of_claim(commands, lease), "count": count})
    return Call("POST", f"{_TASKS}/claim/batch", Role.WORKER, reply_bodies.tasks, body, on_no_content=list)


def _fields_of_claim(commands: Sequence[str], lease: float) -> dict[str, Any]:
    named = texts(commands, "commands")
    return {"leaseSeconds": whole_seconds(lease, "lease")} | ({"commands": named} if named else {})


def heartbeat(task_id: str, *, extend: float = 60) -> Call[None]:
    """Set the end of the lease to `extend` seconds from now, which may be earlier than before (R5, H1).

    Success does not prove that there is a lease: a heartbeat does not revive an expired one (H3).
    """
    seconds = whole_seconds(extend, "extend")
    if not seconds:
        raise ConfigurationError("extend must be positive: the server would take its default, 300 s (H1)")
    path, body = _task_path(task_id, "heartbeat"), dumps({"extendSeconds": seconds})
    return Call("POST", path, Role.WORKER, reply_bodies.nothing, body, repeatable=True)


def abandon(task_id: str) -> Call[None]:
    """Give a task back at once (R6). A blind repetition could take it from the worker that claimed it in between."""
    return Call("POST", _task_path(task_id, "abandon"), Role.WORKER, reply_bodies.nothing)


def nack(task_id: str, *, delay: float | timedelta, reason: str) -> Call[Requeued]:
    """Give a task back as not done (R7). Not repeated, as `abandon`. Without a delay the server chooses one (N3)."""
    body = {"delaySeconds": whole_seconds(delay, "delay"), "reason": without_surrogates(reason, "reason")}
    return Call("POST", _task_path(task_id, "nack"), Role.WORKER, reply_bodies.requeued, dumps(body))


def submit(task_id: str, *, result: object, error: str, artifacts: Sequence[Artifact]) -> Call[Record]:
    """End a task (R8): FAILED with `error` when there is one, otherwise COMPLETED with `result`."""
    path, body = _task_path(task_id, "result"), request_bodies.result_body(result, error, artifacts)
    return Call("POST", path, Role.WORKER, about(task_id, reply_bodies.record), body)


def submit_batch(items: Sequence[bytes]) -> Call[list[Any]]:
    """End at most `MAX_BATCH` tasks (R9), encoded by `submission`; the answers are the server's objects (S6)."""
    body = b'{"results":[%b]}' % b",".join(items)
    return Call("POST", f"{_TASKS}/batch/results", Role.WORKER, _answers_to(items), body)


def _answers_to(items: Sequence[object]) -> Callable[[Any], list[Any]]:
    """Return what reads the reply to a batch: an answer for each item."""

    def decode(wire: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
        answers = list(wire["results"])
        if len(answers) != len(items):
            raise ValueError(f"{len(answers)} answers to {len(items)} items")
        return answers

    return decode


def subscribe(
    callback_url: str,
    commands: Sequence[str] = (),
    *,
    ttl: float = 300,
    mode: str = "fanout",
    group: str = "",
    min_interval: float = 5,
) -> Call[Subscription]:
    """Ask for a notification to `callback_url` when an empty queue gets a task (R10); `mode`: fanout, group or hash."""
    for name, value in {"callback_url": callback_url, "mode": mode, "group": group}.items():
        check_text(value, name)
    body = {
        "callbackUrl": callback_url,
        "eventTypes": texts(commands, "commands"),
        "ttlSeconds": whole_seconds(ttl, "ttl"),
        "deliveryMode": mode,
        "groupId": group,
        "minIntervalSeconds": whole_seconds(min_interval, "min_interval"),
    }
    return Call(
        "POST", _SUBSCRIPTIONS, Role.WORKER, reply_bodies.subscription, dumps(request_bodies.without_empty(body))
    )


def renew_subscription(subscription_id: str, *, ttl: float = 300) -> Call[Subscription]:
    """Set the end of a subscription to `ttl` seconds from now (R11); raises `SubscriptionNotFound`."""
    path = f"{_SUBSCRIPTIONS}/{path_segment(subscription_id)}/heartbeat"
    body = dumps({"ttlSeconds": whole_seconds(ttl, "ttl")})
    read = reply_bodies.subscription
    return Call("POST", path, Role.WORKER, read, body, repeatable=True, missing=SubscriptionNotFound)


def get(task_id: str) -> Call[Task]:
    """Return a task in its present state (R12); raises `TaskNotFound`."""
    return Call("GET", _task_path(task_id), Role.READER, about(task_id, reply_bodies.task), repeatable=True)


def result(task_id: str, *, wait: float = 0) -> Call[Finished]:
    """Return a finished task and its record (R13); raises `TaskNotFound`, `ResultNotFound`.

    CodeQ's main branch waits up to `wait` seconds (60 at most) for a result (G1), v0.3.3 never. `wait_for_result` does
    not depend on that.
    """
    seconds = min(whole_seconds(wait, "wait"), MAX_RESULT_WAIT_SECONDS)
    path = _task_path(task_id, "result") + (f"?waitSeconds={seconds}" if seconds else "")
    return Call("GET", path, Role.READER, about(task_id, reply_bodies.finished), repeatable=True, wait=seconds)


def queue_sizes() -> Call[dict[str, int]]:
    """Return the sizes of the built-in commands' queues without tenant (R14, M1). Needs an administrator's token."""
    return Call("GET", "/v1/codeq/admin/queues", Role.ADMIN, reply_bodies.queue_sizes, repeatable=True)


def queue_stats(command: str) -> Call[QueueStats]:
    """Return how many tasks of `command` are in each state (R15). Needs an administrator's token."""
    check_text(command, "command")
    path = f"/v1/codeq/admin/queues/{path_segment(command)}"
    return Call("GET", path, Role.ADMIN, reply_bodies.queue_stats, repeatable=True)


def cleanup(*, limit: int = 0, before: datetime | None = None) -> Call[Cleanup]:
    """Delete up to `limit` (0: 1000) tasks that did not change in the 24 hours up to `before` (R16).

    Needs an administrator's token.
    """
    check_number(limit, "limit", is_whole=True)
    body = dumps(request_bodies.without_empty({"limit": limit, "before": instant(before, "before")}))
    return Call("POST", "/v1/codeq/admin/tasks/cleanup", Role.ADMIN, reply_bodies.cleanup, body, repeatable=True)


def put_topic(name: str, policy: TopicPolicy) -> Call[Topic]:
    """Create a topic of the caller's tenant, or change its policy (G3). Only CodeQ's main branch has topics.

    An equal policy changes nothing. Needs an administrator's token, as all calls about topics. Raises `BadRequest` for
    a policy that the server does not take; v0.3.3 answers with `NotFound`.
    """
    body = {
        "priorityTiers": list(policy.priority_tiers),
        "maxAttempts": policy.max_attempts,
        "deadLetterTopicRef": policy.dead_letter_topic,
        "retentionSeconds": whole_seconds(policy.retention, "retention"),
        "maxConsumers": policy.max_consumers,
    }
    return Call("PUT", _topic_path(name), Role.ADMIN, reply_bodies.topic, dumps(body), repeatable=True)


def get_topic(name: str) -> Call[Topic]:
    """Return a topic of the caller's tenant (G3); raises `TopicNotFound`."""
    return Call("GET", _topic_path(name), Role.ADMIN, reply_bodies.topic, repeatable=True)


def delete_topic(name: str) -> Call[None]:
    """Delete a topic of the caller's tenant, if there is one (G3). No task is touched."""
    path = f"{_topic_path(name)}?deletionPolicy=Delete"
    return Call("DELETE", path, Role.ADMIN, reply_bodies.nothing, repeatable=True, on_no_content=lambda: None)


def about(task_id: str, read: Callable[[Any], reply_bodies.V]) -> Callable[[Any], reply_bodies.V]:
    """Return `read` with the check that what it reads is about this task."""
    return partial(reply_bodies.of_task, task_id, read=read)


def _with_trace(trace_parent: str) -> tuple[tuple[str, str], ...]:
    return (*_ACCEPT, ("traceparent", trace_parent)) if trace_parent else _ACCEPT


def _task_path(task_id: str, operation: str = "") -> str:
    path = f"{_TASKS}/{path_segment(task_id)}"
    return f"{path}/{operation}" if operation else path


def _topic_path(name: str) -> str:
    check_text(name, "name")
    return f"/v1/codeq/admin/topics/{path_segment(name)}"

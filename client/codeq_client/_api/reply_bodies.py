"""Decoding: the server's JSON to our models. Any error here means a malformed reply; the caller raises `BadReply`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, TypeVar

from codeq_client._display import excerpt
from codeq_client._task import Status, Task

from .json_values import unwrap_result
from .models import Artifact, Cleanup, Finished, QueueStats, Record, Requeued, Subscription, Topic, TopicPolicy

T = TypeVar("T", Task, Record)
V = TypeVar("V", Task, Record, Finished)
Object = Mapping[str, Any]
Readers = Mapping[str, Callable[[Any], Any]]
Table = Mapping[str, tuple[str, Callable[[Any], Any] | None]]
"""Name on the wire -> the field, and what reads its value."""


_log = logging.getLogger("codeq_client")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _table(kind: type[Task | Record], names: dict[str, str], readers: Readers) -> Table:
    """The fields of a model by their names on the wire; `names` are those that are not the field's in camel case."""
    known = {_camel(field.name): field.name for field in fields(kind) if field.name not in {"extra", "unreadable"}}
    return {key: (name, readers.get(name)) for key, name in (known | names).items()}


_TASK_FIELDS = _table(
    Task,
    {"lastKnownLocation": "location"},
    {
        "payload": json.loads,  # the reply has a string with the payload's JSON text (T1)
        "lease_until": datetime.fromisoformat,
        "created_at": datetime.fromisoformat,
        "updated_at": datetime.fromisoformat,
    },
)
_RECORD_FIELDS = _table(
    Record,
    {},
    {
        "result": unwrap_result,
        "artifacts": lambda items: tuple(artifact(item) for item in items),
        "completed_at": datetime.fromisoformat,
    },
)


def _build(kind: type[T], wire: Object, table: Table) -> T:
    """Read an object by a table of its fields; fields that the table does not have go to `extra`."""
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in wire.items():
        found = table.get(key)
        if found is None:
            extra[key] = value
        elif value is not None:
            name, reader = found
            known[name] = reader(value) if reader else value
    return kind(**known, extra=extra)


def of_task(task_id: str, wire: Object, read: Callable[[Object], V]) -> V:
    """Read what must be about this task; raises `ValueError` for the reply to another request."""
    value = read(wire)
    if (about := _task_id_of(value)) != task_id:
        raise ValueError(f"it is about the task {about!r}, not {task_id!r}")
    return value


def _task_id_of(value: Task | Record | Finished) -> str:
    match value:
        case Task():
            return value.id
        case Record():
            return value.task_id
        case Finished():
            return value.task.id


def nothing(_wire: object) -> None:
    """Accept any JSON: the call has no result."""


def task(wire: Object) -> Task:
    """Read a task. A payload that is nested too deeply for Python makes only itself unreadable."""
    if not (isinstance(wire["id"], str) and isinstance(wire["command"], str)):
        raise TypeError("the id and the command of a task are strings")
    try:
        return _build(Task, wire, _TASK_FIELDS)
    except RecursionError as error:
        without_payload = _build(Task, {**wire, "payload": None}, _TASK_FIELDS)
        return replace(
            without_payload, extra={**without_payload.extra, "payload": wire["payload"]}, unreadable=f"{error}"
        )


def tasks(wire: Object) -> list[Task]:
    """Read the tasks of a batch claim. One that cannot be read does not hold up its neighbours."""
    items = list(wire["tasks"])
    readable: list[Task] = []
    for item in items:
        try:
            readable.append(task(item))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if len(items) == 1:
                raise
            _log.warning("a claimed task cannot be read, and waits for the end of its lease: %s", excerpt(repr(error)))
    return readable


def record(wire: Object) -> Record:
    """Read a stored result, from a reply or from a webhook (W1)."""
    if wire.get("status") == Status.COMPLETED:
        wire = {"result": {}, **wire}  # S2: `{}` is left out
    return _build(Record, wire, _RECORD_FIELDS)


def artifact(wire: Object) -> Artifact:
    """Read an artifact of a stored result; its content is at `url`."""
    return Artifact(name=wire.get("name", ""), url=wire.get("url", ""), content_type=wire.get("contentType", ""))


def finished(wire: Object) -> Finished:
    """Read a task with its result (S7)."""
    return Finished(task(wire["task"]), record(wire["result"]))


def subscription(wire: Object) -> Subscription:
    """Read a subscription (U1, U2)."""
    return Subscription(id=wire["subscriptionId"], expires_at=datetime.fromisoformat(wire["expiresAt"]))


def requeued(wire: Object) -> Requeued:
    """Read the answer to a NACK (N3, N4)."""
    return Requeued(delay=int(wire["delaySeconds"]), dead=wire["status"] == "dlq")


def queue_stats(wire: Object) -> QueueStats:
    """Read the statistics of one command (M2)."""
    return QueueStats(
        command=wire["command"],
        ready=wire["ready"],
        delayed=wire["delayed"],
        in_progress=wire["inProgress"],
        dead=wire["dlq"],
    )


def queue_sizes(wire: Object) -> dict[str, int]:
    """Read the sizes of the built-in commands' queues by storage key (M1)."""
    return {str(key): int(size) for key, size in wire.items()}


def cleanup(wire: Object) -> Cleanup:
    """Read the answer to a clean-up (M3)."""
    return Cleanup(deleted=wire["deleted"], before=datetime.fromisoformat(wire["before"]))


def topic(wire: Object) -> Topic:
    """Read a topic (G3)."""
    policy = wire["policy"]
    return Topic(
        id=wire["topicId"],
        tenant_id=wire["tenantId"],
        name=wire["topicName"],
        policy=TopicPolicy(
            priority_tiers=tuple(policy["priorityTiers"]),
            max_attempts=policy["maxAttempts"],
            dead_letter_topic=policy["deadLetterTopicRef"],
            retention=policy.get("retentionSeconds", 0),
            max_consumers=policy.get("maxConsumers", 0),
        ),
        version=wire["version"],
        created_at=datetime.fromisoformat(wire["createdAt"]),
        updated_at=datetime.fromisoformat(wire["updatedAt"]),
    )

"""What fault rules compare of a request: its names, its worker, its commands and its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from codeq_fake.core.commands import queue_name, to_claim
from codeq_fake.core.errors import Refused
from codeq_fake.faults import Occasion
from codeq_fake.faults.rule import COMPLETE, FAIL, REQUEST
from codeq_fake.http.operations import OPERATIONS, TOPIC_OPERATIONS, Operation
from codeq_fake.http.request import Call

#: Of all versions: a rule on what a version lacks never matches.
_ALL = (*OPERATIONS, *TOPIC_OPERATIONS)

#: Value of a rule's `on` -> the requests that it stands for: an operation, its route, or a kind of result.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{operation.name: operation.name for operation in _ALL},
        COMPLETE: COMPLETE,
        FAIL: FAIL,
        **{f"{operation.method} {operation.path}": operation.name for operation in _ALL},
    }
)

_NAMES_OF_ENDS: Mapping[str, str] = MappingProxyType({"COMPLETED": COMPLETE, "FAILED": FAIL})
_OF_A_TASK = frozenset({"heartbeat", "abandon", "nack", "submit", "get", "result"})


def occasion_of(operation: Operation, call: Call) -> Occasion:
    """The occasion of a request that has passed the checks. A bad body has no fields."""
    fields = _fields(operation, call)
    names = {REQUEST, operation.name}
    if operation.name == "submit" and (end := _NAMES_OF_ENDS.get(fields.get("status", ""))):
        names.add(end)
    tasks = frozenset(_tasks(operation, call, fields))
    return Occasion(
        names=frozenset(names),
        worker=call.caller.subject,
        commands=frozenset(map(queue_name, _commands(operation, call, fields, tasks))),
        tasks=tasks,
    )


def claimed_commands(operation: Operation, call: Call) -> Sequence[str]:
    """The commands that a claim is for; none if it will be refused (K1)."""
    try:
        return to_claim(_fields(operation, call).get("commands", ()), call.caller.event_types)
    except Refused:
        return ()


def idempotency_key(operation: Operation, call: Call) -> str:
    """The key of a create, or an empty text."""
    key: str = _fields(operation, call).get("idempotencyKey", "")
    return key


def _fields(operation: Operation, call: Call) -> dict[str, Any]:
    return call.decode_leniently(operation.body) if operation.body is not None else {}


def _tasks(operation: Operation, call: Call, fields: Mapping[str, Any]) -> Iterable[str]:
    if operation.name in _OF_A_TASK:
        return (call.params["id"],)
    return (item.get("taskId", "") for item in fields.get("results", ()))


def _commands(operation: Operation, call: Call, fields: Mapping[str, Any], tasks: Iterable[str]) -> Iterable[str]:
    """The commands that a request is about: those in its body or path, else those of its tasks."""
    match operation.name:
        case "create":
            return (fields.get("command", ""),)
        case "create_batch":
            return (item.get("command", "") for item in fields.get("tasks", ()))
        case "claim" | "claim_batch":
            return claimed_commands(operation, call)
        case "queue":
            return (call.params["command"],)
        case _:
            known = call.broker.store.tasks
            return (known[task].command for task in tasks if task in known)

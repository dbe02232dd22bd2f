"""Commands for tasks and queues: list tasks and queues, show, expire, requeue or delete a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from .output import Answer, say, show_table, tell
from .remote import Fake, Shape, calls_fake, in_path

if TYPE_CHECKING:
    from codeq_fake.payloads import TaskInFull

#: What the commands read of a task, and of a task with its history.
TASK: Mapping[str, Shape] = {"id": str, "command": str, "status": str, "lastKnownLocation": str, "maxAttempts": int}
_EVENT: Shape = {"at": str, "what": str, "by": str | None, "to": {"location": str}}
_TASK_IN_FULL: Shape = {
    **TASK,
    "workerId?": str,
    "leaseUntil?": str,
    "history": [_EVENT],
    "claimable": {"now": bool, "reason": str | None, "since": str | None},
}
_STATUSES = ("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED")
_COLUMNS = ("id", "command", "status", "where", "priority#", "attempts#", "worker", "lease until", "tenant")
#: The columns of a table of queues.
QUEUE_COLUMNS = ("tenant", "command", "ready#", "delayed#", "in progress#", "dead#", "next due", "next lease end")
#: What the commands read of the queues, in the order of these columns.
_QUEUE: Mapping[str, Shape] = {
    **dict.fromkeys(("tenant", "command"), str),
    **dict.fromkeys(("ready", "delayed", "inProgress", "dlq"), int),
    **dict.fromkeys(("nextDue", "nextLeaseEnd"), str | None),
}
QUEUES: Shape = {"queues": [_QUEUE], "parkedClaims": int}
#: What `workers` reads of a worker.
_WORKER: Shape = {
    **dict.fromkeys(("worker", "lastClaim", "claimed"), str | None),
    "commands": [str],
    **dict.fromkeys(("leases", "refused"), int),
}
_ID = click.argument("task_id", metavar="ID")


@click.command()
@click.option("--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Only tasks of this status.")
@click.option("--command", metavar="TEXT", help="Only tasks of this command (upper and lower case do not matter).")
@click.option("--tenant", metavar="TEXT", help="Only tasks of this tenant.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Maximum number of tasks.")
@calls_fake
def tasks(fake: Fake, *, status: str | None, command: str | None, tenant: str | None, limit: int) -> Answer:
    """List tasks, oldest first."""
    reply = fake.get("/tasks", {"tasks": [TASK]}, status=status, command=command, tenant=tenant, limit=limit)
    show_tasks = show_table(_COLUMNS, map(_row, reply["tasks"]), empty="no tasks")

    def show() -> None:
        show_tasks()
        if len(reply["tasks"]) == limit:
            tell(f"these are the first {limit}; use --limit for more")

    return Answer(reply, show)


def _row(task: dict[str, Any]) -> Iterable[object]:
    attempts = f"{task.get('attempts', 0)}/{task['maxAttempts']}"
    named = (task.get(name) for name in ("workerId", "leaseUntil", "tenantId"))
    where = task["lastKnownLocation"]
    return task["id"], task["command"], task["status"], where, task.get("priority", 0), attempts, *named


@click.command()
@_ID
@calls_fake
def task(fake: Fake, *, task_id: str) -> Answer:
    """Show a task's history, and whether it can be claimed."""
    return _about(fake.get(f"/tasks/{in_path(task_id)}", _TASK_IN_FULL))


@click.command()
@_ID
@calls_fake
def expire(fake: Fake, *, task_id: str) -> Answer:
    """End a task's lease now, as if its worker had crashed."""
    return _about(fake.call("POST", f"/tasks/{in_path(task_id)}/expire", _TASK_IN_FULL))


@click.command()
@_ID
@calls_fake
def requeue(fake: Fake, *, task_id: str) -> Answer:
    """Put a task in any state back into its queue."""
    return _about(fake.call("POST", f"/tasks/{in_path(task_id)}/requeue", _TASK_IN_FULL))


@click.command()
@_ID
@calls_fake
def delete(fake: Fake, *, task_id: str) -> Answer:
    """Delete a task with its result."""
    reply = fake.call("DELETE", f"/tasks/{in_path(task_id)}", TASK)
    return Answer(reply, say(f"deleted: {reply['id']}  {reply['command']}  {reply['status']}"))


def _about(reply: dict[str, Any]) -> Answer:
    from codeq_fake.in_process import timeline  # noqa: PLC0415 - --help loads no server

    return Answer(reply, say(*timeline.of_tasks([cast("TaskInFull", reply)]).split("\n")))


@click.command()
@calls_fake
def workers(fake: Fake) -> Answer:
    """Show what each worker asks for, got and holds."""
    reply = fake.get("/workers", {"workers": [_WORKER]})
    columns = ("worker", "last claim", "commands", "leases#", "refused#", "it got")
    return Answer(reply, show_table(columns, map(_worker_row, reply["workers"]), empty="no workers"))


def _worker_row(worker: dict[str, Any]) -> Iterable[object]:
    claimed = worker["lastClaim"], ", ".join(worker["commands"]) or None
    return worker["worker"] or "unknown", *claimed, worker["leases"], worker["refused"] or None, worker["claimed"]


@click.command()
@calls_fake
def queues(fake: Fake) -> Answer:
    """Show the queue sizes of each tenant and command."""
    reply = fake.get("/queues", QUEUES)
    return Answer(reply, show_table(QUEUE_COLUMNS, map(queue_row, reply["queues"]), empty="no queues"))


def queue_row(queue: dict[str, Any]) -> Iterable[object]:
    """The cells of one queue."""
    return (queue[name] for name in _QUEUE)

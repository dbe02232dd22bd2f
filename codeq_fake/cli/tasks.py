"""Commands for tasks: list them with their queues and workers; expire, take, requeue or delete one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import click

from .control_client import TASK_NAME, Fake, Shape, calls_fake, in_path
from .output import Answer, say, tell
from .tables import Columns, Kind, show_table

if TYPE_CHECKING:
    from codeq_fake.payloads import TaskInFull

#: What the commands read of a task, and of a task with its history.
TASK: Mapping[str, Shape] = {**TASK_NAME, "lastKnownLocation": str, "maxAttempts": int}
#: A task in a list.
LISTED_TASK: Mapping[str, Shape] = {**TASK, "state": str, "stateSince": str}
_EVENT: Shape = {"at": str, "what": str, "by": str | None, "to": {"location": str}}
#: A task with its history, as the commands read it.
TASK_IN_FULL: Mapping[str, Shape] = {
    **TASK,
    "payload": str,
    "workerId?": str,
    "leaseUntil?": str,
    "history": [_EVENT],
    "claimable": {"now": bool, "reason": str | None, "since": str | None},
}
_STATUSES = ("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED")
_STATES = ("ready", "delayed", "leased", "lost", "unleased", "dead", "completed", "failed", "over", "stuck")
_COLUMNS: Columns = {
    "id": Kind.ID,
    "command": Kind.TEXT,
    "status": Kind.PIPE,
    "where": Kind.PIPE,
    "state": Kind.STATE,
    "since": Kind.TIME,
    "error": Kind.TEXT,
    "priority": Kind.PIPE,
    "attempts": Kind.NUMBER,
    "worker": Kind.TEXT,
    "lease until": Kind.TIME,
    "tenant": Kind.TEXT,
}
#: The columns of a table of queues.
QUEUE_COLUMNS: Columns = {
    **dict.fromkeys(("tenant", "command"), Kind.TEXT),
    **dict.fromkeys(("ready", "delayed", "in progress", "dead"), Kind.NUMBER),
    **dict.fromkeys(("next due", "next lease end"), Kind.TIME),
}
_WORKER_COLUMNS: Columns = {
    "worker": Kind.TEXT,
    "tenant": Kind.TEXT,
    "last claim": Kind.TIME,
    "commands": Kind.TEXT,
    "it got": Kind.PROSE,
    "leases": Kind.NUMBER,
    "refused": Kind.NUMBER,
}
#: What the commands read of the queues, in the order of these columns.
_QUEUE: Mapping[str, Shape] = {
    **dict.fromkeys(("tenant", "command"), str),
    **dict.fromkeys(("ready", "delayed", "inProgress", "dlq"), int),
    **dict.fromkeys(("nextDue", "nextLeaseEnd"), str | None),
}
QUEUES: Shape = {"queues": [_QUEUE], "parkedClaims": int}
#: What `workers` reads of a worker.
_WORKER: Shape = {
    **dict.fromkeys(("worker", "tenant", "lastClaim", "claimed"), str | None),
    "commands": [str],
    **dict.fromkeys(("leases", "refused"), int),
}
#: The argument of commands for one task, and of those for a leased one.
TASK_ID = click.argument("task_id", metavar="ID")
_LEASED_ID = click.argument("task_id", metavar="[ID]", required=False)


@click.command()
@click.option("--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Only tasks of this status.")
@click.option(
    "--state",
    type=click.Choice(_STATES, case_sensitive=False),
    metavar="STATE",
    help=f"Only tasks in this state: {', '.join(_STATES)}. Over: the lease has run out. Stuck: they need a person, "
    "since they are dead, over, found by no claim, or could be claimed for a minute and were not.",
)
@click.option("--text", metavar="TEXT", help="Only tasks with this text in their id, command, payload or error.")
@click.option("--command", metavar="TEXT", help="Only tasks of this command (upper and lower case do not matter).")
@click.option("--tenant", metavar="TEXT", help="Only tasks of this tenant.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Maximum number of tasks.")
@calls_fake
def tasks(fake: Fake, *, limit: int, **search: str | None) -> Answer:
    """List tasks, oldest first."""
    reply = fake.get("/tasks", {"tasks": [LISTED_TASK]}, limit=limit, **search)
    show_tasks = show_table(_COLUMNS, map(_row, reply["tasks"]), empty="no tasks", now=fake.now)

    def show() -> None:
        show_tasks()
        if len(reply["tasks"]) == limit:
            tell(f"these are the first {limit}; use --limit for more")

    return Answer(reply, show)


def _row(task: dict[str, Any]) -> Sequence[object]:
    where = task["lastKnownLocation"]
    return (
        *(task["id"], task["command"], task["status"], where, task["state"], task["stateSince"], task.get("error")),
        *(task.get("priority", 0), attempts_of(task)),
        *(task.get(name) for name in ("workerId", "leaseUntil", "tenantId")),
    )


def attempts_of(task: dict[str, Any]) -> str:
    """The attempts of a task that were used, and how many it has. The server counts a last NACK once more (N4)."""
    used, most = task.get("attempts", 0), task["maxAttempts"]
    return f"{used}/{most}" if used <= most else f"{used} (at most {most})"


@click.command()
@_LEASED_ID
@calls_fake
def expire(fake: Fake, *, task_id: str | None) -> Answer:
    """End a task's lease now, as if its worker had crashed.

    It is by default the only leased task. Until the next claim, its worker still has it: use `take` to take it away.
    """
    reply = _act(fake, task_id or fake.only_task("leased"), "expire")
    holder = f"  a heartbeat of {reply.get('workerId')} is still answered 200"
    renewal = "which renews the lease only on Pebble (H3, P3)"
    take = f"  `codeq-fake take {reply['id']}` takes it away at once"
    return Answer(reply, say(*_story(reply), f"{holder}, {renewal}", take))


@click.command()
@_LEASED_ID
@calls_fake
def take(fake: Fake, *, task_id: str | None) -> Answer:
    """Take a task from its worker at once.

    It is by default the only leased task. It goes back to its queue, as by an expired lease, and the worker's next
    request about it is refused.
    """
    reply = _act(fake, task_id or fake.only_task("leased"), "take")
    return Answer(reply, say(*_story(reply)))


@click.command()
@TASK_ID
@calls_fake
def requeue(fake: Fake, *, task_id: str) -> Answer:
    """Put a task in any state back into its queue."""
    reply = _act(fake, task_id, "requeue")
    return Answer(reply, say(*_story(reply)))


@click.command()
@TASK_ID
@calls_fake
def delete(fake: Fake, *, task_id: str) -> Answer:
    """Delete a task with its result."""
    reply = fake.call("DELETE", f"/tasks/{in_path(fake.task_id(task_id))}", TASK)
    return Answer(reply, say(f"deleted: {reply['id']}  {reply['command']}  {reply['status']}"))


def _act(fake: Fake, task_id: str, what: str) -> dict[str, Any]:
    return fake.call("POST", f"/tasks/{in_path(fake.task_id(task_id))}/{what}", TASK_IN_FULL)


def _story(reply: dict[str, Any]) -> Sequence[str]:
    from codeq_fake import timeline  # noqa: PLC0415 - --help loads no server

    return timeline.of_tasks([cast("TaskInFull", reply)]).split("\n")


@click.command()
@calls_fake
def workers(fake: Fake) -> Answer:
    """Show what each worker asks for, got and holds."""
    reply = fake.get("/workers", {"workers": [_WORKER]})
    rows = map(_worker_row, reply["workers"])
    return Answer(reply, show_table(_WORKER_COLUMNS, rows, empty="no workers", now=fake.now))


def _worker_row(worker: dict[str, Any]) -> Sequence[object]:
    return (
        *(worker["worker"] or "unknown", worker["tenant"], worker["lastClaim"], ", ".join(worker["commands"]) or None),
        *(worker["claimed"], worker["leases"], worker["refused"] or None),
    )


@click.command()
@calls_fake
def queues(fake: Fake) -> Answer:
    """Show the queue sizes of each tenant and command."""
    reply = fake.get("/queues", QUEUES)
    return Answer(reply, show_table(QUEUE_COLUMNS, map(queue_row, reply["queues"]), empty="no queues", now=fake.now))


def queue_row(queue: dict[str, Any]) -> Sequence[object]:
    """The cells of one queue."""
    return [queue[name] for name in _QUEUE]

"""The commands about tasks: list them, look at one, end its lease, put it back, delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .output import tell
from .queries import Answer, asking, say, show_table
from .remote import in_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .remote import Fake

_STATUSES = ("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED")
_COLUMNS = ("id", "command", "status", "where", "priority#", "attempts#", "worker", "lease until", "tenant")
_ID = click.argument("task_id", metavar="ID")


@click.command()
@click.option("--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Only tasks of this status.")
@click.option("--command", metavar="TEXT", help="Only tasks of this command, in any case.")
@click.option("--tenant", metavar="TEXT", help="Only tasks of this tenant.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@asking
def tasks(fake: Fake, *, status: str | None, command: str | None, tenant: str | None, limit: int) -> Answer:
    """List tasks, oldest first."""
    reply = fake.get("/tasks", status=status, command=command, tenant=tenant, limit=limit)
    show_tasks = show_table(_COLUMNS, map(_row, reply["tasks"]), empty="no tasks")

    def show() -> None:
        show_tasks()
        if len(reply["tasks"]) == limit:
            tell(f"these are the first {limit}; --limit asks for more")

    return Answer(reply, show)


def _row(task: dict[str, Any]) -> Iterable[object]:
    attempts = f"{task.get('attempts', 0)}/{task['maxAttempts']}"
    named = (task.get(name) for name in ("workerId", "leaseUntil", "tenantId"))
    where = task["lastKnownLocation"]
    return task["id"], task["command"], task["status"], where, task.get("priority", 0), attempts, *named


@click.command()
@_ID
@asking
def task(fake: Fake, *, task_id: str) -> Answer:
    """Tell a task's life, and whether it can be claimed."""
    return _about(fake.get(f"/tasks/{in_path(task_id)}"))


@click.command()
@_ID
@asking
def expire(fake: Fake, *, task_id: str) -> Answer:
    """End a task's lease now, as if its worker had vanished."""
    return _about(fake.ask("POST", f"/tasks/{in_path(task_id)}/expire"))


@click.command()
@_ID
@asking
def requeue(fake: Fake, *, task_id: str) -> Answer:
    """Put a task back into its queue, whatever became of it."""
    return _about(fake.ask("POST", f"/tasks/{in_path(task_id)}/requeue"))


@click.command()
@_ID
@asking
def delete(fake: Fake, *, task_id: str) -> Answer:
    """Delete a task with its result."""
    reply = fake.ask("DELETE", f"/tasks/{in_path(task_id)}")
    return Answer(reply, say(f"deleted: {reply['id']}  {reply['command']}  {reply['status']}"))


def _about(reply: dict[str, Any]) -> Answer:
    from codeq_fake.in_process import timeline  # noqa: PLC0415 - as wherever --help does without

    return Answer(reply, say(*timeline.of_tasks([reply]).split("\n")))

"""The server's objects as JSON: keys in the contract's order, text escaped as in Go (R23, T1)."""

from __future__ import annotations

from copy import copy
from io import BytesIO
from zoneinfo import ZoneInfo

from codeq_fake.core import QueueStats, Record, State, Subscription, Task
from codeq_fake.core.slices import Slices
from codeq_fake.journal import TouchedTask
from codeq_fake.wire import escaped, literal, quote, rfc3339_nano, rfc3339_seconds

from . import replies
from .replies import Reply

#: A payload of this length takes some 10 ms to write, and so is written in parts (characters).
_LONG = 1024 * 1024
_PART = 64 * 1024

_SHOWN_STATE = {
    state: f',"status":"{state.status.value}","lastKnownLocation":"{state.location.value}"' for state in State
}


def task(shown: Task, zone: ZoneInfo) -> str:
    """A task as JSON (R23), without fields that are empty or 0."""
    created_at = rfc3339_nano(shown.created_at, zone)
    updated_at = created_at if shown.updated_at == shown.created_at else rfc3339_nano(shown.updated_at, zone)
    return escaped(
        f'{{"id":{literal(shown.id)},"command":{literal(shown.command)},"payload":{literal(shown.payload)}'
        f"{_asked_for(shown)}{_SHOWN_STATE[shown.state]}{_progress(shown)}"
        f'{_text("tenantId", shown.tenant)},"createdAt":"{created_at}","updatedAt":"{updated_at}"}}'
    )


def task_reply(shown: Task, zone: ZoneInfo, status: int = 200, tasks: tuple[TouchedTask, ...] = ()) -> Reply:
    """The reply with a task as it is now."""
    if len(shown.payload) < _LONG:
        return replies.json(task(shown, zone), status, tasks)
    bare = copy(shown)
    bare.payload = ""
    # The gap cannot be in a text before it: there its quotes would be escaped.
    head, _, tail = task(bare, zone).partition('"payload":""')
    written = _with_long_text(f'{head}"payload":', shown.payload, tail)
    return Reply(status, b"", replies.JSON, tasks, writing=written)


def _with_long_text(head: str, text: str, tail: str) -> Slices[bytes]:
    """JSON in UTF-8 with a long text as a string in the middle."""
    written = BytesIO()  # other than bytes that are joined, it returns its content without copying it
    written.write(f'{head}"'.encode())
    for start in range(0, len(text), _PART):
        written.write(quote(text[start : start + _PART])[1:-1].encode())
        yield
    written.write(f'"{tail}'.encode())
    return written.getvalue()


def _asked_for(shown: Task) -> str:
    priority = f',"priority":{shown.priority}' if shown.priority else ""
    if not shown.webhook and not shown.trace_parent:
        return priority
    traced = _text("traceParent", shown.trace_parent) + _text("traceState", shown.trace_state)
    return priority + _text("webhook", shown.webhook) + traced


def _progress(shown: Task) -> str:
    lease = ""
    if shown.worker:
        lease = f',"workerId":{literal(shown.worker)},"leaseUntil":"{rfc3339_seconds(shown.lease_until)}"'
    attempts = f',"attempts":{shown.attempts}' if shown.attempts else ""
    key = ',"resultKey":"codeq:results"' if shown.record is not None else ""  # T2
    return f'{lease}{attempts},"maxAttempts":{shown.max_attempts}{_text("error", shown.error)}{key}'


def _text(name: str, value: str) -> str:
    return f',"{name}":{literal(value)}' if value else ""


def record(shown: Record, zone: ZoneInfo) -> str:
    """A stored result (S2), without an empty `result`."""
    text = f'{{"taskId":{literal(shown.task_id)},"status":"{shown.status}"'
    if shown.result is not None and shown.result != "{}":
        text += f',"result":{shown.result}'
    if shown.error:
        text += f',"error":{literal(shown.error)}'
    if shown.artifacts:
        artifacts = ",".join(f'{{"name":{literal(a.name)},"url":{literal(a.url)}}}' for a in shown.artifacts)
        text += f',"artifacts":[{artifacts}]'
    return escaped(f'{text},"completedAt":"{rfc3339_nano(shown.completed_at, zone)}"}}')


def subscription(shown: Subscription, zone: ZoneInfo) -> str:
    """A subscription in the replies of R10 and R11 (U1)."""
    return f'{{"expiresAt":"{rfc3339_nano(shown.expires_at, zone)}","subscriptionId":{quote(shown.id)}}}'


def stats(command: str, shown: QueueStats) -> str:
    """The sizes of one queue (M2), with the command as it is in the URL."""
    return (
        f'{{"command":{quote(command)},"ready":{shown.ready},"delayed":{shown.delayed},'
        f'"inProgress":{shown.in_progress},"dlq":{shown.dead}}}'
    )

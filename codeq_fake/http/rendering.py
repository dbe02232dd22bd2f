"""The server's objects as JSON: keys in the contract's order, text escaped as in Go (R23, T1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from zoneinfo import ZoneInfo

from codeq_fake.core import QueueStats, Record, State, Subscription, Task
from codeq_fake.documents import LONG
from codeq_fake.journal import TouchedTask
from codeq_fake.wire import escaped, literal, quote, rfc3339_nano, rfc3339_seconds

from . import replies
from .long_texts import LongTexts
from .replies import Reply

Quoted: TypeAlias = Callable[[str], str]

_SHOWN_STATE = {
    state: f',"status":"{state.status.value}","lastKnownLocation":"{state.location.value}"' for state in State
}


def task(shown: Task, zone: ZoneInfo, long: LongTexts | None = None) -> str:
    """A task as JSON (R23), without fields that are empty or 0. Long texts go to `long`, to be written later."""
    quoted = literal if long is None else long.literal
    created_at = rfc3339_nano(shown.created_at, zone)
    updated_at = created_at if shown.updated_at == shown.created_at else rfc3339_nano(shown.updated_at, zone)
    return escaped(
        f'{{"id":{literal(shown.id)},"command":{quoted(shown.command)},"payload":{quoted(shown.payload)}'
        f"{_asked_for(shown, quoted)}{_SHOWN_STATE[shown.state]}{_progress(shown, quoted)}"
        f'{_text("tenantId", shown.tenant)},"createdAt":"{created_at}","updatedAt":"{updated_at}"}}'
    )


def task_reply(shown: Task, zone: ZoneInfo, status: int = 200, tasks: tuple[TouchedTask, ...] = ()) -> Reply:
    """The reply with a task as it is now."""
    if len(shown.payload) + len(shown.error) < LONG:  # most are
        return replies.json(task(shown, zone), status, tasks)
    long = LongTexts()
    return long.reply(task(shown, zone, long), status, tasks)


def record_reply(shown: Record, zone: ZoneInfo) -> Reply:
    """The reply with a stored result."""
    if _is_short(shown):  # most are
        return replies.json(record(shown, zone))
    long = LongTexts()
    return long.reply(record(shown, zone, long))


def _is_short(shown: Record) -> bool:
    return not shown.artifacts and len(shown.result or "") + len(shown.error) < LONG


def _asked_for(shown: Task, quoted: Quoted) -> str:
    """The members that its creator asked for: priority, webhook and trace."""
    priority = f',"priority":{shown.priority}' if shown.priority else ""
    if not shown.webhook and not shown.trace_parent:
        return priority
    traced = _text("traceParent", shown.trace_parent) + _text("traceState", shown.trace_state)
    return priority + _text("webhook", shown.webhook, quoted) + traced


def _progress(shown: Task, quoted: Quoted) -> str:
    """The members that tell what has become of it: lease, attempts, error and result."""
    lease = ""
    if shown.worker:
        lease = f',"workerId":{literal(shown.worker)},"leaseUntil":"{rfc3339_seconds(shown.lease_until)}"'
    attempts = f',"attempts":{shown.attempts}' if shown.attempts else ""
    key = ',"resultKey":"codeq:results"' if shown.record is not None else ""  # T2
    return f'{lease}{attempts},"maxAttempts":{shown.max_attempts}{_text("error", shown.error, quoted)}{key}'


def _text(name: str, value: str, quoted: Quoted = literal) -> str:
    return f',"{name}":{quoted(value)}' if value else ""


def record(shown: Record, zone: ZoneInfo, long: LongTexts | None = None) -> str:
    """A stored result (S2), without an empty `result`. Long texts go to `long`, to be written later."""
    quoted = literal if long is None else long.literal
    text = f'{{"taskId":{literal(shown.task_id)},"status":"{shown.status}"'
    if shown.result is not None and shown.result != "{}":
        text += f',"result":{shown.result if long is None else long.json(shown.result)}'
    text += _text("error", shown.error, quoted)
    if shown.artifacts:
        artifacts = ",".join(f'{{"name":{quoted(a.name)},"url":{quoted(a.url)}}}' for a in shown.artifacts)
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

"""The JSON bodies of result callbacks and of queue-ready notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_fake.wire import quote, rfc3339_nano, rfc3339_seconds, unescape_html

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from codeq_fake.core.effects import CallbackDue, NoticeDue
    from codeq_fake.core.task import Artifact


def callback(due: CallbackDue, zone: ZoneInfo) -> bytes:
    """Return the body of a result callback (W1), the same for every try (W3); ``zone`` is the server's time zone."""
    return _body(
        taskId=quote(due.task_id),
        eventType=quote(due.command),
        status=quote(due.status),
        result="null" if due.result is None else due.result,
        error=quote(due.error),
        artifacts=_artifacts(due.artifacts),
        completedAt=quote(rfc3339_nano(due.completed_at, zone)),
    )


def notice(due: NoticeDue, now: int) -> bytes:
    """Return the body of a queue-ready notice sent at ``now``, in nanoseconds since the epoch (U4)."""
    return _body(
        eventType=quote(due.command),
        available="true",
        queueDepth="0",
        claimUrl=quote("/v1/codeq/tasks/claim"),
        sentAt=quote(rfc3339_seconds(now)),
        notificationId=quote(f"ntf-{due.subscription_id}"),
    )


def _artifacts(artifacts: Sequence[Artifact]) -> str:
    if not artifacts:
        return "null"
    items = (f'{{"name":{quote(artifact.name)},"url":{quote(artifact.url)}}}' for artifact in artifacts)
    return f"[{','.join(items)}]"


def _body(**members: str) -> bytes:
    """Join members whose values are JSON already."""
    text = ",".join(f'"{name}":{value}' for name, value in members.items())
    return unescape_html(f"{{{text}}}").encode()  # W1: replies escape <, > and &, callbacks do not

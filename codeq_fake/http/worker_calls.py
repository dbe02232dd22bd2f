"""R3 to R9: what a worker asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeq_fake import wire
from codeq_fake.core import ArtifactUpload, Submission
from codeq_fake.core.errors import Refused
from codeq_fake.journal import TouchedTask

from . import bodies, rendering, replies
from .rejections import status_and_text
from .request import BadRequest, Wait

if TYPE_CHECKING:
    from codeq_fake.core import Record

    from .replies import Reply
    from .request import Call

MOST_CLAIMED = 10
LARGEST_BATCH = 100


def claim(call: Call) -> Wait:
    """R3: claim a task, waiting for one if asked to (K1 to K9)."""
    fields = wire.decode(call.body, bodies.CLAIM)

    def attempt(now: int) -> Reply | None:
        task = call.broker.claim(
            fields.get("commands", ()),
            worker=call.caller.subject,
            event_types=call.caller.event_types,
            tenant=call.caller.tenant,
            lease_seconds=fields.get("leaseSeconds", 0),
            now=now,
        )
        if task is None:
            return None
        return replies.json(rendering.task(task, call.zone), tasks=(TouchedTask.of(task),))

    return Wait(attempt, fields.get("waitSeconds", 0))


def claim_batch(call: Call) -> Reply:
    """R4: claim up to ten tasks (K10)."""
    fields = wire.decode(call.body, bodies.CLAIM_BATCH)
    count = fields.get("count", 0)
    if count <= 0:
        raise wire.BadBody
    if count > MOST_CLAIMED:
        raise BadRequest(f"count exceeds maximum of {MOST_CLAIMED}")
    tasks = call.broker.claim_batch(
        fields.get("commands", ()),
        count,
        worker=call.caller.subject,
        event_types=call.caller.event_types,
        tenant=call.caller.tenant,
        lease_seconds=fields.get("leaseSeconds", 0),
        now=call.now,
    )
    if not tasks:
        return replies.NO_CONTENT
    shown = ",".join(rendering.task(task, call.zone) for task in tasks)
    return replies.json(f'{{"tasks":[{shown}]}}', tasks=tuple(map(TouchedTask.of, tasks)))


def heartbeat(call: Call) -> Reply:
    """R5: extend a lease (H1)."""
    fields = wire.decode(call.body, bodies.HEARTBEAT)
    call.broker.heartbeat(
        call.params["id"],
        worker=call.caller.subject,
        extend_seconds=fields.get("extendSeconds", 0),
        now=call.now,
    )
    return replies.json('{"ok":true}')


def abandon(call: Call) -> Reply:
    """R6: give a task back at once (D1)."""
    call.broker.abandon(call.params["id"], worker=call.caller.subject, now=call.now)
    return replies.json('{"status":"requeued"}')


def nack(call: Call) -> Reply:
    """R7: give a task back as not done (N1 to N4)."""
    fields = wire.decode(call.body, bodies.NACK)
    nacked = call.broker.nack(
        call.params["id"],
        worker=call.caller.subject,
        delay_seconds=fields.get("delaySeconds", 0),
        reason=fields.get("reason", ""),
        now=call.now,
    )
    status = "dlq" if nacked.dead else "requeued"
    return replies.json(f'{{"delaySeconds":{nacked.delay_seconds},"status":"{status}"}}')


def submit(call: Call) -> Reply:
    """R8: hand in a result (S1 to S5)."""
    fields = wire.decode(call.body, bodies.SUBMIT)
    if not fields.get("status"):
        raise wire.BadBody
    record = call.broker.submit(call.params["id"], _submission(fields), worker=call.caller.subject, now=call.now)
    return replies.json(rendering.record(record, call.zone))


def submit_batch(call: Call) -> Reply:
    """R9: hand in several results; each item gets its record or its error (S6)."""
    items = wire.decode(call.body, bodies.SUBMIT_BATCH).get("results")
    if not items:
        raise wire.BadBody
    if len(items) > LARGEST_BATCH:
        raise BadRequest(f"batch size exceeds maximum of {LARGEST_BATCH}")
    handed_in = [(item.get("taskId", ""), _submission(item)) for item in items]
    answers = call.broker.submit_batch(handed_in, worker=call.caller.subject, now=call.now)
    shown = ",".join(
        f'{{"taskId":{wire.quote(task_id)},{_answer(call, answer)}}}'
        for (task_id, _), answer in zip(handed_in, answers, strict=True)
    )
    known = call.broker.store.tasks
    tasks = tuple(TouchedTask.of(known[task_id]) for task_id, _ in handed_in if task_id in known)
    return replies.json(f'{{"results":[{shown}]}}', tasks=tasks)


def _answer(call: Call, answer: Record | Refused) -> str:
    if isinstance(answer, Refused):
        _, text = status_and_text(answer, "submit")
        return f'"error":{wire.quote(text)}'
    return f'"result":{rendering.record(answer, call.zone)}'


def _submission(fields: dict[str, Any]) -> Submission:
    return Submission(
        status=fields.get("status", ""),
        result=fields.get("result"),
        error=fields.get("error", ""),
        artifacts=tuple(map(_upload, fields.get("artifacts", ()))),
    )


def _upload(fields: dict[str, Any]) -> ArtifactUpload:
    return ArtifactUpload(
        name=fields.get("name", ""),
        url=fields.get("url", ""),
        content_base64=fields.get("contentBase64", ""),
        content_type=fields.get("contentType", ""),
    )

"""Handlers: claim tasks, keep a lease or give it back, submit results (R3 to R9)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from codeq_fake import wire
from codeq_fake.core import ArtifactUpload, Record, Submission
from codeq_fake.core.errors import Refused
from codeq_fake.core.times import SECOND
from codeq_fake.journal import TouchedTask

from . import bodies, rendering, replies
from .limits import CLAIM_INTERVAL, LONGEST_CLAIM_WAIT, MOST_CLAIMED, MOST_COMMANDS
from .long_texts import LongTexts
from .reasons.empty_claim import of_empty_claim
from .rejections import BadRequest, reasons_of, status_and_text
from .replies import Reply, Wait
from .request import Call


def claim(call: Call, most: float = MOST_COMMANDS) -> Wait:
    """R3: claim a task, and wait for one if the request says so (K1 to K9). It may name at most `most` commands."""
    fields = call.decode(bodies.CLAIM)
    commands, caller = fields.get("commands", ()), call.caller
    bodies.check_commands(commands, most)
    seconds = min(fields.get("waitSeconds", 0), LONGEST_CLAIM_WAIT)
    # Of a claim that does not wait it is `call.now`: its one try is not the last one of a long poll (Q1).
    deadline = call.now + seconds * SECOND

    def attempt(now: int) -> Reply | None:
        task = call.broker.claim(
            commands,
            worker=caller.subject,
            event_types=caller.event_types,
            tenant=caller.tenant,
            lease_seconds=fields.get("leaseSeconds", 0),
            now=now,
            is_last_try=now >= deadline > call.now,
        )
        if task is None:
            return None
        return rendering.task_reply(task, call.zone, tasks=(TouchedTask.of(task),))

    over = partial(_nothing, call, commands)
    next_chance = partial(call.broker.next_claim, commands, event_types=caller.event_types, tenant=caller.tenant)
    return Wait(attempt, seconds, CLAIM_INTERVAL, over, next_chance)


def _nothing(call: Call, commands: Sequence[str], now: int) -> Reply:
    """The reply to a claim of these commands that found no task."""
    caller = call.caller
    reason = of_empty_claim(call.broker, commands, event_types=caller.event_types, tenant=caller.tenant, now=now)
    return replies.NO_CONTENT._replace(reason=reason)


def claim_batch(call: Call) -> Reply:
    """R4: claim up to ten tasks (K10)."""
    fields = call.decode(bodies.CLAIM_BATCH)
    count = fields.get("count", 0)
    if count <= 0:
        raise wire.BadBody
    if count > MOST_CLAIMED:
        raise BadRequest(f"count exceeds maximum of {MOST_CLAIMED}")
    commands = fields.get("commands", ())
    bodies.check_commands(commands)
    tasks = call.broker.claim_batch(
        commands,
        count,
        worker=call.caller.subject,
        event_types=call.caller.event_types,
        tenant=call.caller.tenant,
        lease_seconds=fields.get("leaseSeconds", 0),
        now=call.now,
    )
    if not tasks:
        return _nothing(call, commands, call.now)
    long = LongTexts()
    rendered = ",".join(rendering.task(task, call.zone, long) for task in tasks)
    return long.reply(f'{{"tasks":[{rendered}]}}', tasks=tuple(map(TouchedTask.of, tasks)))


def heartbeat(call: Call) -> Reply:
    """R5: extend a lease (H1)."""
    seconds = call.decode(bodies.HEARTBEAT).get("extendSeconds", 0)
    call.broker.heartbeat(call.params["id"], worker=call.caller.subject, extend_seconds=seconds, now=call.now)
    return replies.json('{"ok":true}')


def abandon(call: Call) -> Reply:
    """R6: give a task back at once (D1)."""
    call.broker.abandon(call.params["id"], worker=call.caller.subject, now=call.now)
    return replies.json('{"status":"requeued"}')


def nack(call: Call) -> Reply:
    """R7: give a task back as not done (N1 to N4)."""
    arguments = bodies.arguments(call.decode(bodies.NACK))
    nacked = call.broker.nack(call.params["id"], worker=call.caller.subject, now=call.now, **arguments)
    status = "dlq" if nacked.dead else "requeued"
    return replies.json(f'{{"delaySeconds":{nacked.delay_seconds},"status":"{status}"}}')


def submit(call: Call) -> Reply:
    """R8: store a result (S1 to S5)."""
    fields = call.decode(bodies.SUBMIT)
    if not fields.get("status"):
        raise wire.BadBody
    bodies.check_artifacts(len(fields.get("artifacts", ())))
    record = call.broker.submit(call.params["id"], _submission(fields), worker=call.caller.subject, now=call.now)
    return rendering.record_reply(record, call.zone)


def submit_batch(call: Call) -> Reply:
    """R9: store several results. Each item is answered with its record or its error (S6)."""
    items = bodies.batch(call.decode(bodies.SUBMIT_BATCH))
    bodies.check_artifacts(sum(len(item.get("artifacts", ())) for item in items))
    submissions = [(item.get("taskId", ""), _submission(item)) for item in items]
    outcomes = call.broker.submit_batch(submissions, worker=call.caller.subject, now=call.now)
    ids = [task_id for task_id, _ in submissions]
    long = LongTexts()
    results = ",".join(
        f'{{"taskId":{wire.escaped(long.literal(task_id))},{_outcome(call, outcome, long)}}}'
        for task_id, outcome in zip(ids, outcomes, strict=True)
    )
    known = call.broker.store.tasks
    tasks = tuple(TouchedTask.of(known[task_id]) for task_id in ids if task_id in known)
    return long.reply(f'{{"results":[{results}]}}', tasks=tasks, reason=reasons_of(outcomes))


def _outcome(call: Call, outcome: Record | Refused, long: LongTexts) -> str:
    if isinstance(outcome, Refused):
        _, text = status_and_text(outcome, "submit")
        return f'"error":{wire.escaped(long.literal(text))}'
    return f'"result":{rendering.record(outcome, call.zone, long)}'


def _submission(fields: dict[str, Any]) -> Submission:
    artifacts = tuple(map(_artifact, fields.get("artifacts", ())))
    return Submission(fields.get("status", ""), fields.get("result"), fields.get("error", ""), artifacts)


def _artifact(fields: dict[str, Any]) -> ArtifactUpload:
    return ArtifactUpload(**bodies.arguments(fields))

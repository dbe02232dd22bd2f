"""R10 to R16: subscriptions, reading, and administration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeq_fake import wire

from . import bodies, rendering, replies
from .request import BadRequest

if TYPE_CHECKING:
    from codeq_fake.wire import Struct

    from .replies import Reply
    from .request import Call


def subscribe(call: Call) -> Reply:
    """R10: subscribe to queue-ready notices (U1)."""
    fields = wire.decode(call.body, bodies.SUBSCRIBE)
    if not fields.get("callbackUrl"):
        raise wire.BadBody
    subscription = call.broker.subscriptions.subscribe(
        fields["callbackUrl"],
        event_types=fields.get("eventTypes", ()),
        ttl_seconds=fields.get("ttlSeconds", 0),
        delivery_mode=fields.get("deliveryMode", ""),
        group_id=fields.get("groupId", ""),
        min_interval_seconds=fields.get("minIntervalSeconds", 0),
        now=call.now,
    )
    return replies.json(rendering.subscription(subscription, call.zone))


def renew(call: Call) -> Reply:
    """R11: renew a subscription (U2)."""
    fields = _lenient(call.body, bodies.RENEW)
    subscription = call.broker.subscriptions.renew(
        call.params["id"], ttl_seconds=fields.get("ttlSeconds", 0), now=call.now
    )
    return replies.json(rendering.subscription(subscription, call.zone))


def get(call: Call) -> Reply:
    """R12: read a task (S8)."""
    return replies.json(rendering.task(call.broker.get(call.params["id"]), call.zone))


def result(call: Call) -> Reply:
    """R13: read a task and its result (S7)."""
    task, record = call.broker.result(call.params["id"])
    return replies.json(f'{{"result":{rendering.record(record, call.zone)},"task":{rendering.task(task, call.zone)}}}')


def queues(call: Call) -> Reply:
    """R14: the sizes of the built-in commands' queues (M1)."""
    return replies.json(wire.encode(dict(call.broker.store.built_in_sizes())))


def queue(call: Call) -> Reply:
    """R15: the sizes of one command's queue (M2)."""
    command = call.params["command"]
    return replies.json(rendering.stats(command, call.broker.store.stats(command, tenant=call.caller.tenant)))


def cleanup(call: Call) -> Reply:
    """R16: delete tasks that nobody has touched for a day (M3)."""
    fields = _lenient(call.body, bodies.CLEANUP)
    limit, text = fields.get("limit", 0), fields.get("before", "")
    try:
        before = wire.parse_rfc3339(text) if text else call.now
    except wire.BadTime:
        raise BadRequest("invalid 'before' (use RFC3339)") from None
    shown = wire.reformat_rfc3339(text) if text else wire.rfc3339_seconds(call.now)
    deleted = call.broker.store.cleanup(before=before, limit=limit)
    return replies.json(f'{{"before":"{shown}","deleted":{deleted},"limit":{limit}}}')


def _lenient(body: bytes, struct: Struct) -> dict[str, Any]:
    """The fields of a body that may as well be bad or missing (B2)."""
    try:
        return wire.decode(body, struct)
    except wire.BadBody:
        return {}

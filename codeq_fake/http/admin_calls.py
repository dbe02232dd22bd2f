"""Handlers: the sizes of queues, and the clean-up (R14 to R16)."""

from __future__ import annotations

from codeq_fake import wire
from codeq_fake.core.slices import Slices

from . import bodies, rendering, replies
from .rejections import BadRequest
from .replies import Reply
from .request import Call


def queues(call: Call) -> Reply:
    """R14: the sizes of the built-in commands' queues (M1)."""
    return replies.json(wire.encode(dict(call.broker.queue_sizes())))


def queue(call: Call) -> Reply:
    """R15: the sizes of one command's queue (M2)."""
    command = call.params["command"]
    return replies.json(rendering.stats(command, call.broker.queue_stats(command, tenant=call.caller.tenant)))


def cleanup(call: Call) -> Slices[Reply]:
    """R16: delete tasks that have not been touched for a day (M3)."""
    fields = call.decode(bodies.CLEANUP)
    limit, text = fields.get("limit", 0), fields.get("before", "")
    try:
        before = wire.parse_rfc3339(text) if text else call.now
    except wire.BadTime:
        raise BadRequest("invalid 'before' (use RFC3339)") from None
    rendered = wire.reformat_rfc3339(text) if text else wire.rfc3339_seconds(call.now)
    deleted = yield from call.broker.cleanup(before=before, limit=limit)
    return replies.json(f'{{"before":"{rendered}","deleted":{deleted},"limit":{limit}}}')

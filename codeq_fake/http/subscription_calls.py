"""Handlers: subscribe to queue-ready notices, and renew a subscription (R10, R11)."""

from __future__ import annotations

from codeq_fake import wire

from . import bodies, rendering, replies
from .replies import Reply
from .request import Call


def subscribe(call: Call) -> Reply:
    """R10: subscribe (U1)."""
    arguments = bodies.arguments(call.decode(bodies.SUBSCRIBE))
    url = arguments.pop("callback_url", "")
    if not url:
        raise wire.BadBody
    bodies.check_commands(arguments.get("event_types", ()))
    subscription = call.broker.subscribe(url, now=call.now, **arguments)
    return replies.json(rendering.subscription(subscription, call.zone))


def renew(call: Call) -> Reply:
    """R11: renew a subscription (U2)."""
    arguments = bodies.arguments(call.decode(bodies.RENEW))
    subscription = call.broker.renew_subscription(call.params["id"], now=call.now, **arguments)
    return replies.json(rendering.subscription(subscription, call.zone))

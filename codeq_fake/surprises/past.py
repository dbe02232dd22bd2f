"""What earlier requests have shown of tasks, as far as a rule may ask for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .call import Call

_OK = 200
_NANOSECONDS = 1_000_000_000

# In a reply's text only, for a payload's own quotes are escaped there.
_ID = re.compile(rb'"id":"([^"\\]+)"')
_LEASE_UNTIL = re.compile(rb'"leaseUntil":"([^"\\]+)"')
_MAX_ATTEMPTS = re.compile(rb'"maxAttempts":(\d+)')
_WEBHOOK = b'"webhook":"'


@dataclass(slots=True)
class Lease:
    """What is known of a task that was claimed: until when, how often so far, and how often at most.

    ``until`` is the text that the server shows: whole seconds in UTC, so that a later time is a greater text.
    """

    until: str
    deliveries: int
    max_attempts: int


@dataclass(slots=True)
class Past:
    """Tasks that have not ended, by id: who is called back, and who is leased."""

    with_webhook: set[str] = field(default_factory=set)
    leases: dict[str, Lease] = field(default_factory=dict)

    def learn(self, call: Call) -> None:
        """Take note of what a call has changed."""
        lesson = _LESSONS.get(call.operation)
        if lesson is not None and _OK <= call.request.status < _OK + 100:
            lesson(self, call)


def _created(past: Past, call: Call) -> None:
    if _WEBHOOK in call.request.reply and (found := _ID.search(call.request.reply)):
        past.with_webhook.add(found[1].decode())


def _created_together(past: Past, call: Call) -> None:
    for task in call.request.reply.split(b'{"task":')[1:]:
        if _WEBHOOK in task and (found := _ID.search(task)):
            past.with_webhook.add(found[1].decode())


def _claimed(past: Past, call: Call) -> None:
    reply = call.request.reply
    known = zip(_ID.findall(reply), _LEASE_UNTIL.findall(reply), _MAX_ATTEMPTS.findall(reply), strict=False)
    for task_id, until, most in known:
        earlier = past.leases.get(name := task_id.decode())
        deliveries = earlier.deliveries + 1 if earlier is not None else 1
        past.leases[name] = Lease(until.decode(), deliveries, int(most))


def _extended(past: Past, call: Call) -> None:
    lease, until = past.leases.get(call.task_id), extended_until(call)
    if lease is not None and until is not None:
        lease.until = until


def extended_until(call: Call) -> str | None:
    """Until when a heartbeat extends a lease; None when it does not say."""
    extension = call.fields().get("extendSeconds")
    if not isinstance(extension, int) or extension <= 0:
        return None
    return wire.rfc3339_seconds(call.request.at + extension * _NANOSECONDS)


def _ended(past: Past, call: Call) -> None:
    past.with_webhook.discard(call.task_id)
    past.leases.pop(call.task_id, None)


_LESSONS: Mapping[str, Callable[[Past, Call], None]] = MappingProxyType(
    {
        "create": _created,
        "create_batch": _created_together,
        "claim": _claimed,
        "claim_batch": _claimed,
        "heartbeat": _extended,
        "submit": _ended,
    }
)

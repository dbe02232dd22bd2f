"""What earlier requests have shown of tasks, as far as a rule may ask for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake import wire
from codeq_fake.core.commands import queue_name
from codeq_fake.core.rules import BUILT_IN_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .call import Call

_OK = 200
_NANOSECONDS = 1_000_000_000

# In a reply's text only, for a payload's own quotes are escaped there.
_TASK = b'{"id":"'
_COMMAND = re.compile(rb'"command":"([^"\\]+)"')  # one that needs escapes is nobody's
_LEASE_UNTIL = re.compile(rb'"leaseUntil":"([^"\\]+)"')
_MAX_ATTEMPTS = re.compile(rb'"maxAttempts":(\d+)')
_WEBHOOK = b'"webhook":"'


@dataclass(slots=True)
class Lease:
    """What is known of a task that was claimed: by whom, until when, how often so far, and how often at most.

    ``until`` is the text that the server shows: whole seconds in UTC, so that a later time is a greater text. It is
    empty once the task was given back. ``queue`` is the command as queues are named.
    """

    worker: str
    queue: str
    until: str
    deliveries: int
    max_attempts: int
    has_webhook: bool


@dataclass(slots=True)
class Past:
    """Tasks that were claimed and have not ended, by id, and the queues that somebody wants to hear of."""

    leases: dict[str, Lease] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)

    def learn(self, call: Call) -> None:
        """Take note of what a call has changed."""
        lesson = _LESSONS.get(call.operation)
        if lesson is not None and _OK <= call.request.status < _OK + 100:
            lesson(self, call)


def _claimed(past: Past, call: Call) -> None:
    for task in call.request.reply.split(_TASK)[1:]:
        task_id = task.partition(b'"')[0].decode()
        command, until, most = _COMMAND.search(task), _LEASE_UNTIL.search(task), _MAX_ATTEMPTS.search(task)
        if command is None or until is None or most is None:
            continue
        earlier = past.leases.get(task_id)
        past.leases[task_id] = Lease(
            worker=call.request.caller,
            queue=queue_name(command[1].decode()),
            until=until[1].decode(),
            deliveries=earlier.deliveries + 1 if earlier is not None else 1,
            max_attempts=int(most[1]),
            has_webhook=_WEBHOOK in task,
        )


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


def _given_back(past: Past, call: Call) -> None:
    lease = past.leases.get(call.task_id)
    if lease is not None:
        lease.until = ""


def _ended(past: Past, call: Call) -> None:
    past.leases.pop(call.task_id, None)


def _subscribed(past: Past, call: Call) -> None:
    past.subscribed |= set(map(queue_name, call.texts("eventTypes") or BUILT_IN_COMMANDS))


_LESSONS: Mapping[str, Callable[[Past, Call], None]] = MappingProxyType(
    {
        "claim": _claimed,
        "claim_batch": _claimed,
        "heartbeat": _extended,
        "abandon": _given_back,
        "nack": _given_back,
        "submit": _ended,
        "subscribe": _subscribed,
    }
)

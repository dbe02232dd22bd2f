"""The drain of a load: ends all tasks that remain, then reads every task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from codeq_contract.driver import ADMIN, TASKS, Reply, Request
from codeq_contract.recordings.times import SECOND

from .actors import (
    LEASES,
    LONG,
    LONGEST_LEASE,
    SHORT,
    ActorContext,
    HeldTask,
    Turn,
    claimed,
    complete,
    end,
    heartbeat,
    intrude,
)

#: Seconds after which a lease is certainly over. Some stores round its end up by half a second (K8).
_CERTAINLY = 1
#: Seconds of empty claims after which a task that waits for nothing is lost.
_SLACK = 2


@dataclass(slots=True)
class Drain:
    """The drain of one tenant, which ends at `deadline`, or when no claim can get a task any more.

    `backoff` is the longest time in seconds for which an expired task waits. `busy_until` is when a claim last got a
    task, or no answer. `is_complete` means that no claim can get a task any more: one that has not ended is lost.
    """

    now: Callable[[], int]
    deadline: int
    backoff: int
    busy_until: int = 0
    is_over: bool = False
    is_complete: bool = False


def drainer(
    context: ActorContext, drain: Drain, *, leads: bool = True, holds_late: bool = False
) -> Generator[Turn, Reply, None]:
    """End remaining tasks until the drain is over. The one that `leads` finds out when that is.

    One that `holds_late` only holds two tasks too long. No other worker may claim meanwhile, so that the outcome is
    certain.
    """
    late_actions = [_heartbeat_late, _end_late] if holds_late else []
    pause = 0.0
    while not drain.is_over and (late_actions or not holds_late):
        if drain.now() >= drain.deadline or not context.goes_on():
            drain.is_over = True
            return
        lease = min(LEASES) if late_actions else LONGEST_LEASE
        reply = yield from context.claim(lease, pause=pause)
        tasks = claimed(reply)
        for task in tasks:
            yield from intrude(context, HeldTask(task, lease))
            yield from (late_actions.pop(0) if late_actions else complete)(context, HeldTask(task, lease))
        if tasks or not reply.status:
            drain.busy_until = drain.now()
        elif leads:
            patience = yield from _patience(context, drain)
            drain.is_complete = drain.is_over = drain.now() - drain.busy_until >= patience * SECOND
        pause = 0.0 if tasks else LONG


def _patience(context: ActorContext, drain: Drain) -> Generator[Turn, Reply, int]:
    """For how many seconds claims must find nothing until none can get a task. Reads what the open tasks wait for.

    A lease that is over takes one claim that finds it, and becomes a delay. A task that waits for nothing and is not
    found is lost.
    """
    if not context.log.complete:
        return LONGEST_LEASE + drain.backoff + _SLACK
    patience = 0
    for task in list(context.log.open):
        reply = yield from context.read(task)
        shown = reply.json if reply.status == HTTPStatus.OK else {}
        if shown.get("lastKnownLocation") == "DELAYED_ZSET":
            return drain.backoff + _SLACK
        if shown.get("status") == "IN_PROGRESS":
            patience = max(patience, LONGEST_LEASE + _SLACK)
        elif task in context.log.open:
            patience = max(patience, _SLACK)
    return patience


def reader(context: ActorContext, tasks: Sequence[str], *, pause: float) -> Generator[Turn, Reply, None]:
    """Read the tasks and their results."""
    for place, task in enumerate(tasks):
        yield from context.read(task, pause=0 if place else pause)
        if task in context.log.with_result:
            yield Turn(0, Request("GET", f"{TASKS}/{task}/result", context.identity))


def size_reader(context: ActorContext) -> Generator[Turn, Reply, None]:
    """Read the sizes of the queues."""
    for command in context.commands:
        yield Turn(0, Request("GET", f"{ADMIN}/queues/{command}", context.identity))


def _heartbeat_late(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Send a heartbeat after the lease, which has no effect (H3): the next claim requeues the task."""
    yield from heartbeat(context, held, pause=held.lease + _CERTAINLY)
    reply = yield from context.claim(LONGEST_LEASE, pause=SHORT)
    yield from end(context, held, pause=SHORT)
    for task in claimed(reply):
        yield from complete(context, HeldTask(task, LONGEST_LEASE))


def _end_late(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """End a task after its lease, before any claim takes it away (S3)."""
    yield from end(context, held, pause=held.lease + _CERTAINLY)

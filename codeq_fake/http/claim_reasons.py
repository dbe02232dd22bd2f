"""Why a claim got no task, in words for a person: the reply is an empty one (K9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice

from codeq_fake.core import Broker
from codeq_fake.core.commands import queue_name, to_claim
from codeq_fake.core.times import SECOND

#: How many of the wanted commands are explained, and how many queues are searched for a similar one. Workers without
#: tasks claim all the time.
_EXPLAINED = 3
_SEARCHED = 200
#: Names of which more than this part is equal may be meant for each other. Both begin with so many equal characters.
_SIMILAR = 0.8
_BEGINNING = 3


def of_empty_claim(
    broker: Broker, commands: Sequence[str], *, event_types: Sequence[str], tenant: str, now: int
) -> str:
    """Why a claim of these commands found nothing that is ready."""
    wanted = to_claim(commands, event_types)
    reasons = [
        "; ".join((_queue_of(broker, command, tenant, now=now), *_instead(broker, command, tenant)))
        for command in wanted[:_EXPLAINED]
    ]
    if len(wanted) > _EXPLAINED:
        reasons.append(f"nothing either in the other {len(wanted) - _EXPLAINED} commands")
    return ". ".join(reasons)


def _queue_of(broker: Broker, command: str, tenant: str, *, now: int) -> str:
    """What there is of a command instead of ready tasks."""
    whose = f"for {tenant}" if tenant else "without tenant"
    queue = broker.store.queues.get((tenant, queue_name(command)))
    if queue is None or not (queue.delayed or queue.in_progress or queue.dead):
        return f"no {command} {whose}"
    there = []
    if queue.delayed:
        left = max(0, next(queue.delays.in_order()).visible_at - now) / SECOND
        there.append(f"{len(queue.delayed)} delayed, the first for {left:.1f}".removesuffix(".0") + " s")
    if queue.in_progress:
        there.append(f"{len(queue.in_progress)} leased")
    if queue.dead:
        there.append(f"{len(queue.dead)} dead")
    return f"no {command} {whose} is ready: {', '.join(there)}"


def _instead(broker: Broker, command: str, tenant: str) -> Iterator[str]:
    """What is ready under a similar name, or for another tenant."""
    wanted = queue_name(command)
    for (other_tenant, name), queue in islice(broker.store.queues.items(), _SEARCHED):
        if name == wanted and other_tenant != tenant and (ready := queue.ready_count()):
            yield f"{ready} ready {f'for {other_tenant}' if other_tenant else 'without tenant'}"
        if other_tenant == tenant and name != wanted and _is_similar(name, wanted) and (ready := queue.ready_count()):
            yield f"{name.upper()} has {ready} ready: a typo?"


def _is_similar(name: str, wanted: str) -> bool:
    if name[:_BEGINNING] != wanted[:_BEGINNING]:
        return False
    matcher = SequenceMatcher(None, name, wanted)
    return matcher.real_quick_ratio() > _SIMILAR and matcher.quick_ratio() > _SIMILAR and matcher.ratio() > _SIMILAR

"""Why a claim got no task, in words for a person: the reply is an empty one (K9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from codeq_fake.core import Broker
from codeq_fake.core.commands import queue_name, to_claim
from codeq_fake.core.times import SECOND

#: How many of the wanted commands are explained, and how many queues are searched for a similar one. Workers without
#: tasks claim all the time.
_EXPLAINED = 3
_SEARCHED = 50
#: A name may be a typo of another if more than this share of them is equal, and so many characters at their beginning.
_SIMILAR = 0.8
_BEGINNING = 3
#: The most characters of names that are compared: the time that this takes grows with their square.
_LONGEST = 80


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
    """What is ready instead: under a similar name, or for another tenant."""
    wanted = queue_name(command)
    for (other_tenant, name), queue in islice(broker.store.queues.items(), _SEARCHED):
        if (other_tenant == tenant) == (name == wanted) or not (ready := queue.ready_count()):
            continue
        if name == wanted:
            yield f"{ready} ready {f'for {other_tenant}' if other_tenant else 'without tenant'}"
        elif _is_similar(name, wanted):
            yield f"{name.upper()} has {ready} ready: a typo?"


def _is_similar(name: str, wanted: str) -> bool:
    begins_alike = name[:_BEGINNING] == wanted[:_BEGINNING]
    return begins_alike and max(len(name), len(wanted)) <= _LONGEST and _are_alike(name, wanted)


@lru_cache(maxsize=1024)
def _are_alike(name: str, wanted: str) -> bool:
    """Whether most of two names is equal. Idle workers ask for the same commands again and again."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - only names that are nearly equal need it

    matcher = SequenceMatcher(None, name, wanted)
    # The first two are upper bounds, which take little time.
    return all(ratio() > _SIMILAR for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio))

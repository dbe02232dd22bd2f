"""The life of a task: all that a history tells of it, and its deliveries with their leases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

from codeq_contract.checker.events import FOREVER, Deed, Delivery, Heartbeat, Nack, Result
from codeq_contract.checker.settings import GRAIN
from codeq_contract.recordings.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codeq_contract.checker.events import CalledBack, Created, Event, Missing, Sight, TaskSeen
    from codeq_contract.checker.settings import Terms

# K8: KVRocks 2.8 keeps a lease's key for up to this much longer, and a heartbeat revives what has a key.
_ROUNDING = SECOND // 2 + GRAIN


@dataclass(frozen=True)
class Lease:
    """A delivery and what its worker did with it.

    `following` is the task's next delivery, by the attempts that the server counted. `deeds` are all that were
    accepted and may belong to this delivery, in the order of sending; `certain` those that can belong to no other.
    Before `earliest_end` the lease holds, whatever the timing; from `latest_end` on its time is up (K8, H1).
    """

    delivery: Delivery
    following: Delivery | None
    deeds: tuple[Deed, ...]
    certain: tuple[Deed, ...]
    earliest_end: int
    latest_end: int

    @property
    def attempts(self) -> int:
        """What the server had counted when it gave this lease."""
        return self.delivery.task.attempts

    @property
    def beats(self) -> tuple[Deed, ...]:
        """The heartbeats among the deeds."""
        return tuple(deed for deed in self.deeds if isinstance(deed, Heartbeat))

    @cached_property
    def settlements(self) -> tuple[Deed, ...]:
        """The deeds that end a lease: abandon, NACK, result."""
        return tuple(deed for deed in self.deeds if not isinstance(deed, Heartbeat))

    @cached_property
    def settled(self) -> Deed | None:
        """The settlement that is certain and was answered first."""
        sure = (deed for deed in self.settlements if deed in self.certain)
        return min(sure, key=lambda deed: deed.answered, default=None)


@dataclass(frozen=True)
class Life:
    """Everything that a history tells of one task, in the order of sending."""

    id: str
    births: tuple[Created, ...]
    leases: tuple[Lease, ...]
    deeds: tuple[Deed, ...]
    sights: tuple[Sight, ...]
    missing: tuple[Missing, ...]
    callbacks: tuple[CalledBack, ...]

    @cached_property
    def shown(self) -> tuple[Created | Sight, ...]:
        """Every reply that showed the task without handing it out; a create may have found it there (C8)."""
        return (*self.births, *self.sights)

    @cached_property
    def creator(self) -> Created | None:
        """The create that made the task, if it is certain which one did."""
        first = self.births[:1]
        return first[0] if first and all(first[0].precedes(other) for other in self.births[1:]) else None

    @cached_property
    def ends(self) -> tuple[Event, ...]:
        """What shows that the task is over: results, dead letters and reads, the first answered first."""
        ends: list[Event] = [deed for deed in self.deeds if deed.accepted and is_end(deed)]
        ends += [event for event in self.shown if event.task.is_over]
        return tuple(sorted(ends, key=lambda event: event.answered))

    @property
    def over_from(self) -> int:
        """Before this moment nothing can have ended it."""
        return min((end.sent for end in self.ends), default=FOREVER)

    @property
    def over_by(self) -> int:
        """By this moment it was surely over."""
        return min((end.answered for end in self.ends), default=FOREVER)

    @property
    def pairs(self) -> Iterator[tuple[Lease, Lease]]:
        """Each lease with the next."""
        return pairwise(self.leases)

    @property
    def task(self) -> TaskSeen | None:
        """The task as it was when created, or else first delivered."""
        if self.births:
            return self.births[0].task
        return self.leases[0].delivery.task if self.leases else None


def is_end(deed: Deed) -> bool:
    """Whether a deed, if accepted, ends its task for good (S4, N4)."""
    return isinstance(deed, Result) or (isinstance(deed, Nack) and deed.dead)


def leases_of(deliveries: Iterable[Delivery], deeds: Iterable[Deed], terms: Terms) -> tuple[Lease, ...]:
    """The leases of one task, in the order of their attempts: an order that the server itself made (K5)."""
    ordered = sorted(deliveries, key=lambda delivery: (delivery.task.attempts, delivery.sent))
    pairs = list(zip_longest(ordered, ordered[1:]))
    accepted = [deed for deed in deeds if deed.accepted]
    possible = [[deed for deed in accepted if _may_belong(deed, delivery, following)] for delivery, following in pairs]
    owners = {id(deed): sum(deed in mine for mine in possible) for deed in accepted}
    leases = []
    for (delivery, following), mine in zip(pairs, possible, strict=True):
        certain = tuple(deed for deed in mine if owners[id(deed)] == 1 and deed.worker is not None)
        earliest = _earliest_end(delivery, mine, certain, terms)
        leases.append(Lease(delivery, following, tuple(mine), certain, earliest, _latest_end(delivery, mine)))
    return tuple(leases)


def _may_belong(deed: Deed, delivery: Delivery, following: Delivery | None) -> bool:
    """Whether the deed can have taken effect between the two deliveries, by the worker of the first."""
    by_holder = deed.worker is None or deed.worker == delivery.task.worker
    return by_holder and not deed.precedes(delivery) and not (following is not None and following.precedes(deed))


def _earliest_end(delivery: Delivery, deeds: Iterable[Deed], certain: Iterable[Deed], terms: Terms) -> int:
    """H1: a heartbeat sets the lease's end anew, sooner or later, if it surely came before the old one (H3)."""
    end = _end_of_lease(delivery, delivery.lease, terms)
    last_answered = delivery.sent
    for deed in deeds:
        if not isinstance(deed, Heartbeat):
            end = min(end, deed.sent)
            continue
        renewed = _end_of_lease(deed, deed.extension, terms)
        in_time = deed in certain and last_answered < deed.sent and deed.answered < end
        end = renewed if in_time else min(end, renewed)
        last_answered = max(last_answered, deed.answered)
    return end


def _end_of_lease(event: Event, length: int, terms: Terms) -> int:
    if length >= FOREVER:  # more nanoseconds than Go can count: it may be over at once
        return event.sent
    return max(event.sent, event.sent + length - terms.early)  # K8


def _latest_end(delivery: Delivery, deeds: Iterable[Deed]) -> int:
    """A heartbeat that came after it revived nothing (H3)."""
    end = delivery.answered + delivery.lease
    for deed in deeds:
        if isinstance(deed, Heartbeat) and deed.sent <= end + _ROUNDING:
            end = max(end, deed.answered + deed.extension)
    return end

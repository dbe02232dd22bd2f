"""The history of one task: everything recorded about it, and its deliveries with their leases.

The classes are not frozen, for the reason that `events` gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from operator import attrgetter

from codeq_contract.recordings.times import SECOND

from .events import (
    FOREVER,
    CallbackReceived,
    Created,
    Delivery,
    Event,
    Heartbeat,
    Missing,
    Nack,
    Operation,
    Read,
    Result,
    ResultMissing,
    TaskSnapshot,
)
from .settings import GRAIN, Settings

_answered = attrgetter("answered")

# K8: KVRocks 2.8 keeps the key of a lease for up to this much longer. A heartbeat revives a lease that has a key.
_ROUNDING = SECOND // 2 + GRAIN


@dataclass(slots=True)
class Lease:
    """A delivery and what its worker did with the task.

    `next_delivery` is the task's next one, in the order of the attempts that the server counted. `operations` are all
    accepted ones that may belong to this delivery, in the order of sending. `certain` are those that can belong to no
    other delivery. `settlements` are the operations that end a lease: abandon, NACK, result. `settlement` is the
    certain one that was answered first. Before `earliest_end` the lease holds for every possible timing. From
    `latest_end` on it has expired (K8, H1).
    """

    delivery: Delivery
    next_delivery: Delivery | None
    operations: tuple[Operation, ...]
    certain: tuple[Operation, ...]
    settlements: tuple[Operation, ...]
    settlement: Operation | None
    earliest_end: int
    latest_end: int

    @property
    def attempts(self) -> int:
        """The server's count of attempts when it gave this lease."""
        return self.delivery.task.attempts

    @property
    def heartbeats(self) -> tuple[Operation, ...]:
        """The heartbeats among the operations."""
        return tuple(operation for operation in self.operations if isinstance(operation, Heartbeat))


@dataclass(slots=True)
class TaskHistory:
    """Everything recorded about one task, in the order of sending.

    `ends` are the events that show that the task is over (results, dead letters, reads), the first answered first. A
    name with `_from` is a moment before which something cannot have happened, one with `_by` when it has for certain.
    """

    id: str
    creates: tuple[Created, ...]
    leases: tuple[Lease, ...]
    operations: tuple[Operation, ...]
    reads: tuple[Read, ...]
    missing: tuple[Missing, ...]
    results_missing: tuple[ResultMissing, ...]
    callbacks: tuple[CallbackReceived, ...]
    ends: tuple[Event, ...]

    @property
    def observations(self) -> tuple[Created | Read, ...]:
        """Every reply that showed the task without delivering it. A create may show an existing task (C8)."""
        return (*self.creates, *self.reads)

    @property
    def certain_creator(self) -> Created | None:
        """The create that made the task, if it is certain which one did."""
        if not self.creates:
            return None
        first, *others = self.creates
        return first if all(map(first.precedes, others)) else None

    @property
    def expiries(self) -> tuple[int, ...]:
        """The earliest ends of the leases that no call has certainly settled."""
        return tuple(lease.earliest_end for lease in self.leases if lease.settlement is None)

    @property
    def ends_from(self) -> int:
        """The earliest moment at which the task can have ended, by the events that show it.

        An end that only a read shows may have come earlier. No law errs by that: a task whose lease expired at the last
        attempt never waits again, and a result without a reply explains a violation.
        """
        # The event that was answered first need not have been sent first.
        return min((end.sent for end in self.ends), default=FOREVER)

    @property
    def ends_by(self) -> int:
        """The moment by which the task has certainly ended."""
        return self.ends[0].answered if self.ends else FOREVER

    @property
    def task(self) -> TaskSnapshot | None:
        """The task as it was created, or else as it was first delivered."""
        if self.creates:
            return self.creates[0].task
        return self.leases[0].delivery.task if self.leases else None


def ends_in(operations: Iterable[Operation], observations: Iterable[Created | Read]) -> tuple[Event, ...]:
    """The events that show that a task is over, the first answered first."""
    ends: list[Event] = [operation for operation in operations if operation.is_accepted and ends_task(operation)]
    ends += [observation for observation in observations if observation.task.is_over]
    return tuple(sorted(ends, key=_answered))


def ends_task(operation: Operation) -> bool:
    """Whether the operation, if accepted, ends its task for good (S4, N4)."""
    return isinstance(operation, Result) or (isinstance(operation, Nack) and operation.dead)


def leases_of(deliveries: Iterable[Delivery], operations: Iterable[Operation], settings: Settings) -> tuple[Lease, ...]:
    """The leases of one task in the order of their attempts. The server itself made that order (K5)."""
    ordered = sorted(deliveries, key=lambda delivery: (delivery.task.attempts, delivery.sent))
    pairs = list(zip_longest(ordered, ordered[1:]))
    accepted = [operation for operation in operations if operation.is_accepted]
    possible = [[operation for operation in accepted if _may_belong(operation, *pair)] for pair in pairs]
    owners = {id(operation): sum(operation in mine for mine in possible) for operation in accepted}
    leases = []
    for (delivery, following), mine in zip(pairs, possible, strict=True):
        certain = tuple([one for one in mine if owners[id(one)] == 1 and one.worker is not None])
        settled = [one for one in certain if not isinstance(one, Heartbeat)]
        leases.append(
            Lease(
                delivery,
                following,
                operations=tuple(mine),
                certain=certain,
                settlements=tuple([one for one in mine if not isinstance(one, Heartbeat)]),
                settlement=min(settled, key=_answered, default=None),
                earliest_end=_earliest_end(delivery, mine, certain, settings),
                latest_end=_latest_end(delivery, mine, settings),
            )
        )
    return tuple(leases)


def _may_belong(operation: Operation, delivery: Delivery, following: Delivery | None) -> bool:
    """Whether the worker of the first delivery can have done this before the second."""
    by_holder = operation.worker is None or operation.worker == delivery.task.worker
    overlaps = not operation.precedes(delivery) and not (following is not None and following.precedes(operation))
    return by_holder and overlaps


def _earliest_end(
    delivery: Delivery, operations: Iterable[Operation], certain: Iterable[Operation], settings: Settings
) -> int:
    """The moment until which the lease holds in every possible order of the operations (H1, H3).

    A heartbeat replaces the end, with a later or an earlier one. It prolongs the lease only if it certainly belongs to
    it, came after all others, and came in time: otherwise the shorter of both ends counts.
    """
    end = _end_of_lease(delivery, delivery.lease, settings)
    last_answered = delivery.sent
    for operation in operations:
        if not isinstance(operation, Heartbeat):
            end = min(end, operation.sent)
            continue
        renewed = _end_of_lease(operation, operation.extension, settings)
        in_time = operation in certain and last_answered < operation.sent and operation.answered < end
        end = renewed if in_time else min(end, renewed)
        last_answered = max(last_answered, operation.answered)
    return end


def _end_of_lease(event: Event, length: int, settings: Settings) -> int:
    if length >= FOREVER:  # more nanoseconds than Go can count: the sum overflows, and the lease may be over at once
        return event.sent
    return max(event.sent, event.sent + length - settings.most_early)  # K8


def _latest_end(delivery: Delivery, operations: Iterable[Operation], settings: Settings) -> int:
    """The moment from which the lease has expired in every possible order.

    A later heartbeat revives nothing (H3), unless there is a reaper: one that was accepted came before it (P3).
    """
    end = delivery.answered + delivery.lease
    for operation in operations:
        if isinstance(operation, Heartbeat) and (settings.has_reaper or operation.sent <= end + _ROUNDING):
            end = max(end, operation.answered + operation.extension)
    return end

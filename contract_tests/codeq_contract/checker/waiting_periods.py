"""The periods in which a task waits in its queue: from create, abandon, NACK or expiry to the next delivery.

The classes are not frozen, for the reason that `events` gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codeq_contract.recordings.times import SECOND, parse_moment

from .events import FOREVER, Abandon, Claim, Created, Delivery, Event, Nack, Operation, TaskSnapshot
from .queues import Queue
from .settings import GRAIN, Settings
from .task_histories import Lease, TaskHistory, ends_task


@dataclass(slots=True)
class WaitingPeriod:
    """One period in the queue, or on the way there.

    It began with `origin`: the create, or the delivery of a lease that ended. `cause` shows how that lease ended: the
    operation that gave the task back, or the claim that must have found the lease expired. No claim can get the task
    before `ready_from`. A claim that was sent after `ready_by` and answered before `leaves_from` must find it. A
    `delayed` task gets its place from the repair of a claim (K7). `delivery` ended the period.
    """

    origin: Created | Delivery
    cause: Operation | Claim | None
    ready_from: int
    ready_by: int
    leaves_from: int
    delayed: bool
    delivery: Delivery | None

    @property
    def task(self) -> TaskSnapshot:
        """The task as it was before the period."""
        return self.origin.task

    @property
    def start_events(self) -> tuple[Event, ...]:
        """The events that show how the period began."""
        return (self.origin,) if self.cause is None else (self.origin, self.cause)

    @property
    def follows_expiry(self) -> bool:
        """Whether it began with a lease that expired, as far as is known."""
        return isinstance(self.origin, Delivery) and not isinstance(self.cause, Operation)

    @property
    def is_certain(self) -> bool:
        """Whether there is a time at which the task was certainly waiting."""
        return self.ready_by < self.leaves_from


@dataclass(slots=True)
class WaitingPeriods:
    """Finds the waiting periods of one task. From `deleted_from` on a clean-up may have deleted it."""

    history: TaskHistory
    queue: Queue
    settings: Settings
    deleted_from: int

    def __iter__(self) -> Iterator[WaitingPeriod]:
        if self.history.creates:
            yield self._after_create()
        for lease in self.history.leases:
            if not any(ends_task(operation) for operation in lease.settlements):
                yield self._after_lease(lease)

    def _after_create(self) -> WaitingPeriod:
        """A new task waits at once, or from when it is due (C1)."""
        create = self.history.creates[0]
        delivery = self.history.leases[0].delivery if self.history.leases else None
        due = self._due(self.history.certain_creator)
        # A faulty server may forget a delay and show the task as pending, so the request counts as well.
        delayed = create.task.location == "DELAYED_ZSET" or due[0] > create.answered
        ready_from, ready_by = due if delayed else (create.sent, create.answered)
        leaves_from = self._leaves_from(delivery, delayed=delayed)
        return WaitingPeriod(create, None, ready_from, ready_by, leaves_from, delayed, delivery)

    def _due(self, creator: Created | None) -> tuple[int, int]:
        """When a new task becomes due, at the earliest and at the latest (C6, C7).

        The server cuts the visible time to the second. `runAt` is a time of the server's clock, as `createdAt` is. A
        delay of more nanoseconds than Go can count may be no delay.
        """
        if creator is not None and 0 < creator.delay < FOREVER:
            return creator.sent + creator.delay - SECOND - GRAIN, creator.answered + creator.delay
        if creator is not None and creator.run_at:
            visible = creator.run_at // SECOND * SECOND
            wait = visible - parse_moment(creator.task.created_at)
            return creator.sent + wait - GRAIN, creator.answered + max(0, wait)
        return self.history.creates[0].sent, FOREVER

    def _after_lease(self, lease: Lease) -> WaitingPeriod:
        """A task that was given back waits at once or after a delay (D1, N3, N5).

        If no settlement is certain, each possible one gives bounds, and so does an expiry: the widest bounds count.
        """
        cause: Operation | Claim | None = lease.settlement
        if lease.settlement is not None:
            bounds = [self._given_back(lease.settlement)]
        else:
            cause = self.queue.repair_of(lease)
            bounds = [*map(self._given_back, lease.settlements), self._expired(lease, cause)]
        ready_from, ready_by = min(low for low, _ in bounds), max(high for _, high in bounds)
        delayed = not isinstance(lease.settlement, Abandon)
        leaves_from = self._leaves_from(lease.next_delivery, delayed=delayed)
        return WaitingPeriod(lease.delivery, cause, ready_from, ready_by, leaves_from, delayed, lease.next_delivery)

    def _given_back(self, operation: Operation) -> tuple[int, int]:
        """When the task is ready after an operation gave it back, at the earliest and at the latest."""
        if isinstance(operation, Nack):
            delay = operation.delay * SECOND
            return max(operation.sent, operation.sent + delay - SECOND - GRAIN), operation.answered + delay
        return operation.sent, operation.answered

    def _expired(self, lease: Lease, repair: Claim | None) -> tuple[int, int]:
        """As `_given_back`, after an expiry: when the backoff is over, whose end the server cuts to the second."""
        shortest, longest = self.settings.backoff(lease.attempts)
        dies = lease.attempts + 1 >= lease.delivery.task.max_attempts  # N4
        ready_by = FOREVER if repair is None or dies else repair.answered + longest * SECOND
        return lease.earliest_end + max(0, (shortest - 1) * SECOND), ready_by

    def _leaves_from(self, delivery: Delivery | None, *, delayed: bool) -> int:
        # A claim need not have moved this one (K7, P6).
        overlooked = self.queue.overlooked_from if delayed else FOREVER
        return min(
            FOREVER if delivery is None else delivery.sent, self.history.ends_from, self.deleted_from, overlooked
        )

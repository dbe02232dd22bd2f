"""A task's stays in its queue: from create, abandon, NACK or expiry to the next delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_contract.checker.events import FOREVER, Abandon, Deed, Delivery, Nack
from codeq_contract.checker.settings import GRAIN
from codeq_contract.checker.task_histories import is_end
from codeq_contract.recordings.times import SECOND, parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.checker.events import Claim, Created, Event, TaskSeen
    from codeq_contract.checker.history import History
    from codeq_contract.checker.queues import Queue
    from codeq_contract.checker.task_histories import Lease, Life


@dataclass(frozen=True, slots=True)
class Stay:
    """One time in the queue, or on the way there.

    It began with `origin`: the create, or the delivery that came to nothing, by what `after` shows: the deed that gave
    the task back, or the claim that must have found its lease run out. Nobody can be given the task before
    `ready_from`; a claim that was sent after `ready_by` and answered before `leaves_from` must find it there. A
    `delayed` task is put in its place by a claim's repair (K7). `taken` is the delivery that ended the stay.
    """

    origin: Created | Delivery
    after: Deed | Claim | None
    ready_from: int
    ready_by: int
    leaves_from: int
    delayed: bool
    taken: Delivery | None

    @property
    def task(self) -> TaskSeen:
        """The task, as it was before the stay."""
        return self.origin.task

    @property
    def since(self) -> tuple[Event, ...]:
        """The events that show how it began."""
        return (self.origin,) if self.after is None else (self.origin, self.after)

    @property
    def expired(self) -> bool:
        """Whether it began with a lease that ran out, as far as is known."""
        return isinstance(self.origin, Delivery) and not isinstance(self.after, Deed)

    @property
    def is_certain(self) -> bool:
        """Whether there is a time at which the task was surely there."""
        return self.ready_by < self.leaves_from


def stays_of(life: Life, queue: Queue, history: History) -> Iterator[Stay]:
    """The stays of a task, in their order."""
    after = _Stays(life, queue, history)
    if life.births:
        yield after.create()
    for lease in life.leases:
        stay = after.lease(lease)
        if stay is not None:
            yield stay


class _Stays:
    def __init__(self, life: Life, queue: Queue, history: History) -> None:
        self.life = life
        self.queue = queue
        self.history = history

    def create(self) -> Stay:
        """C1: at once, or when it is due."""
        birth = self.life.births[0]
        taken = self.life.leases[0].delivery if self.life.leases else None
        due = self._due(self.life.creator)
        # A server that forgets a delay may well say that the task is ready.
        delayed = birth.task.location == "DELAYED_ZSET" or due[0] > birth.answered
        ready_from, ready_by = due if delayed else (birth.sent, birth.answered)
        left = self._leaves(taken, delayed=delayed)
        return Stay(birth, None, ready_from, ready_by, left, delayed, taken)

    def _due(self, creator: Created | None) -> tuple[int, int]:
        """C6, C7: the visible time is cut to the second. `runAt` is told by the server's clock, as `createdAt` is.

        A delay of more nanoseconds than Go can count may be none.
        """
        if creator is not None and 0 < creator.delay < FOREVER:
            return creator.sent + creator.delay - SECOND - GRAIN, creator.answered + creator.delay
        if creator is not None and creator.run_at:
            visible = creator.run_at // SECOND * SECOND
            wait = visible - parse_moment(creator.task.created_at)
            return creator.sent + wait - GRAIN, creator.answered + max(0, wait)
        return self.life.births[0].sent, FOREVER

    def lease(self, lease: Lease) -> Stay | None:
        """D1, N3, N5: back at once or after a delay; not at all from a lease that ended the task."""
        if any(is_end(deed) for deed in lease.settlements):
            return None
        after: Deed | Claim | None = lease.settled
        if lease.settled is not None:
            bounds = [self._given_back(lease.settled)]
        else:
            after = self.queue.repair_of(lease)
            bounds = [*map(self._given_back, lease.settlements), self._expired(lease, after)]
        ready_from, ready_by = min(low for low, _ in bounds), max(high for _, high in bounds)
        delayed = not isinstance(lease.settled, Abandon)
        left = self._leaves(lease.following, delayed=delayed)
        return Stay(lease.delivery, after, ready_from, ready_by, left, delayed, lease.following)

    def _given_back(self, deed: Deed) -> tuple[int, int]:
        if isinstance(deed, Nack):
            delay = deed.delay * SECOND
            return max(deed.sent, deed.sent + delay - SECOND - GRAIN), deed.answered + delay
        return deed.sent, deed.answered

    def _expired(self, lease: Lease, repair: Claim | None) -> tuple[int, int]:
        least, most = self.history.terms.backoff(lease.attempts)
        dies = lease.attempts + 1 >= lease.delivery.task.max_attempts  # N4
        ready_by = FOREVER if repair is None or dies else repair.answered + most * SECOND
        return lease.earliest_end + max(0, (least - 1) * SECOND), ready_by

    def _leaves(self, taken: Delivery | None, *, delayed: bool) -> int:
        # Beyond this many tasks, a repair need not have moved this one.
        crowded = self.queue.crowded_from if delayed else FOREVER
        return min(FOREVER if taken is None else taken.sent, self.life.over_from, self.history.gone, crowded)

"""The queues of a history: the claims that reached each, and when a claim must have requeued an expired lease (K7)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, chain
from operator import attrgetter

from .events import FOREVER, Abandon, Claim
from .settings import Settings
from .task_histories import Lease, TaskHistory


@dataclass(frozen=True)
class Queue:
    """The tasks of one tenant and one lower-case command (C2, K6).

    `claims` are those that reached this queue, in the order of sending. `tasks` are the histories of its tasks. A
    repair looks at no more than `inspect_limit` tasks (K7). `settings` are those of the server.
    """

    tenant: str
    name: str
    claims: tuple[Claim, ...]
    tasks: tuple[TaskHistory, ...]
    inspect_limit: int
    settings: Settings

    def repair_of(self, lease: Lease) -> Claim | None:
        """The first claim that must have found the lease expired, unless it was settled, and requeued the task (K7)."""
        repair = self.first_repair_after(lease.latest_end)
        return repair if repair is not None and repair.answered < self.crowded_from else None

    def first_repair_after(self, moment: int) -> Claim | None:
        """The claim by whose answer the queue was certainly repaired after `moment`.

        Within the interval after a repair a claim does not repair. So one that was sent an interval after `moment`
        repairs, or another one has done it meanwhile (Q1).
        """
        position = bisect_right(self._sent, moment + self.settings.repair_interval)
        return self._answered_first[position] if position < len(self.claims) else None

    def empty_claims_after(self, moment: int) -> Iterator[Claim]:
        """The claims sent after `moment` that found nothing, in the order of sending."""
        for position in range(bisect_right(self._empty_sent, moment), len(self._empty)):
            yield self._empty[position]

    @cached_property
    def crowded_from(self) -> int:
        """The first moment at which more tasks may be leased or delayed than a repair looks at."""
        changes = [change for task in self.tasks for change in _absences(task)]
        away = 0
        for moment, change in sorted(changes, key=lambda change: (change[0], -change[1])):
            away += change
            if away > self.inspect_limit:
                return moment
        return FOREVER

    @cached_property
    def overlooked_from(self) -> int:
        """The first moment at which a claim may overlook a delayed task that is due.

        More may be there than it looks at, or the reaper may have requeued a task: claims do not find that one, and
        count the delayed ones wrong afterwards (P6).
        """
        expiries = chain.from_iterable(task.expiries for task in self.tasks)
        reaped = min(expiries, default=FOREVER) if self.settings.has_reaper else FOREVER
        return min(self.crowded_from, reaped)

    @cached_property
    def _empty(self) -> list[Claim]:
        return [claim for claim in self.claims if not claim.tasks]

    @cached_property
    def _empty_sent(self) -> list[int]:
        return [claim.sent for claim in self._empty]

    @cached_property
    def _sent(self) -> list[int]:
        return [claim.sent for claim in self.claims]

    @cached_property
    def _answered_first(self) -> list[Claim]:
        """For each claim, the one of it and all later ones that was answered first."""
        return list(accumulate(reversed(self.claims), partial(min, key=attrgetter("answered"))))[::-1]


class AnsweredClaims:
    """Claims in the order of their answers."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        ordered = sorted(claims, key=attrgetter("answered"))
        self._answered = [claim.answered for claim in ordered]
        # For each claim, when the first of it and all later ones was sent.
        self._first_sent = [*accumulate((claim.sent for claim in reversed(ordered)), min)][::-1]

    def first_sent_after(self, moment: int) -> int:
        """When the first of the claims was sent that were answered at `moment` or later. FOREVER if there is none."""
        position = bisect_left(self._answered, moment)
        return self._first_sent[position] if position < len(self._first_sent) else FOREVER


def _absences(task: TaskHistory) -> Iterator[tuple[int, int]]:
    """When the task may have left the pending list of its queue (+1), and when it was certainly back or over (-1)."""
    over = task.ends_by
    first = task.leases[0].delivery.answered if task.leases else FOREVER
    if task.creates and task.creates[0].task.location == "DELAYED_ZSET":
        yield task.creates[0].sent, 1
        yield min(first, over), -1
    for lease in task.leases:
        back = lease.settlement.answered if isinstance(lease.settlement, Abandon) else FOREVER
        following = lease.next_delivery.answered if lease.next_delivery is not None else FOREVER
        yield lease.delivery.sent, 1
        yield min(back, following, over), -1

"""The queues of a history: the claims on each, and what a claim's repair is bound to have done."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from codeq_contract.checker.events import FOREVER, Abandon

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codeq_contract.checker.events import Claim
    from codeq_contract.checker.task_histories import Lease, Life


@dataclass(frozen=True)
class Queue:
    """The tasks of one tenant and one command, in lower case (C2, K6).

    `claims` are those that went as far as this queue, in the order of sending; `lives` the tasks that belong here.
    A repair looks at no more than `inspect_limit` tasks (K7).
    """

    tenant: str
    name: str
    claims: tuple[Claim, ...]
    lives: tuple[Life, ...]
    inspect_limit: int

    def repair_of(self, lease: Lease) -> Claim | None:
        """The first claim that must have found the lease run out, if nobody had settled it, and requeued it (K7)."""
        repair = self.first_claim_after(lease.latest_end)
        return repair if repair is not None and repair.answered < self.crowded_from else None

    def first_claim_after(self, moment: int) -> Claim | None:
        """Of the claims sent after `moment`, the one that was answered first."""
        position = bisect_right(self._sent, moment)
        return self._answered_first[position] if position < len(self.claims) else None

    def empty_claims_after(self, moment: int) -> Sequence[Claim]:
        """The claims sent after `moment` that found nothing, in the order of sending."""
        return self._empty[bisect_right(self._empty, moment, key=lambda claim: claim.sent) :]

    @cached_property
    def crowded_from(self) -> int:
        """When there may first be more tasks leased or delayed than a repair looks at."""
        changes = [change for life in self.lives for change in _absences(life)]
        away = 0
        for moment, change in sorted(changes, key=lambda change: (change[0], -change[1])):
            away += change
            if away > self.inspect_limit:
                return moment
        return FOREVER

    @cached_property
    def _empty(self) -> list[Claim]:
        return [claim for claim in self.claims if not claim.tasks]

    @cached_property
    def _sent(self) -> list[int]:
        return [claim.sent for claim in self.claims]

    @cached_property
    def _answered_first(self) -> list[Claim]:
        """For each claim, which of it and all later ones was answered first."""
        return list(accumulate(reversed(self.claims), _first_answered))[::-1]


def _first_answered(one: Claim, other: Claim) -> Claim:
    return one if one.answered <= other.answered else other


def _absences(life: Life) -> Iterator[tuple[int, int]]:
    """When the task may have left the plain list of its queue (+1), and when it was surely back or over (-1)."""
    over = life.over_by
    first = life.leases[0].delivery.answered if life.leases else FOREVER
    if life.births and life.births[0].task.location == "DELAYED_ZSET":
        yield life.births[0].sent, 1
        yield min(first, over), -1
    for lease in life.leases:
        back = lease.settled.answered if isinstance(lease.settled, Abandon) else FOREVER
        following = lease.following.answered if lease.following is not None else FOREVER
        yield lease.delivery.sent, 1
        yield min(back, following, over), -1

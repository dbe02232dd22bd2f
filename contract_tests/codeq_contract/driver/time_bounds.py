"""When a lease ends and a delay is over, by store (K8, C7): between two moments, which on a virtual clock are one."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_contract.recordings.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Span:
    """Something happens at `earliest` at the earliest and at `latest` at the latest (nanoseconds)."""

    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class Store:
    """A profile's rounding of times to live, in milliseconds: how far before its end a lease counts as expired."""

    least_early: int
    most_early: int
    #: Whether the end is first rounded to a whole second, and what remains when the lease counts as expired.
    rounds: bool = False

    def expired_from(self, claimed: int, seconds: int) -> int:
        """From when exactly a lease given exactly at `claimed` counts as expired."""
        remaining = 999 if self.rounds else self.most_early - 1
        return self.gone_from(claimed, seconds) - remaining * MILLISECOND

    def gone_from(self, claimed: int, seconds: int) -> int:
        """From when exactly the store no longer knows of it."""
        end = claimed // MILLISECOND + seconds * 1000
        return ((end + 499) // 1000 * 1000 if self.rounds else end) * MILLISECOND


STORES: Mapping[str, Store] = MappingProxyType(
    {
        "redis": Store(500, 500),
        "kvrocks-2.9": Store(1000, 1000),
        "kvrocks-2.8": Store(500, 1500, rounds=True),
        # Nobody said which: the bounds of all of them.
        "any": Store(500, 1500),
    }
)

#: What two machines' ideas of a second's beginning, and a store's own cached clock, may differ by.
SKEW = 50 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Tolerances:
    """One target's. `exact` says that its clock stands still during a call, so that there is nothing to tolerate.

    `patience` is how many seconds late something may come about at worst.
    """

    profile: str
    exact: bool
    patience: float

    @property
    def table(self) -> Mapping[str, str | bool | float]:
        """For a report: what is allowed, in seconds (K8, C7)."""
        store = STORES[self.profile]
        return {
            "profile": self.profile,
            "exact": self.exact,
            "patience": self.patience,
            "lease_ends_early_at_least": store.least_early * MILLISECOND / SECOND,
            "lease_ends_early_at_most": store.most_early * MILLISECOND / SECOND,
            "delay_ends_early_at_most": 1.0,
            "clocks_differ_at_most": 0.0 if self.exact else SKEW / SECOND,
        }

    def lease_end(self, called: int, returned: int, seconds: int) -> Span:
        """When a lease of `seconds` counts as over that was given between `called` and `returned` (K8)."""
        store = STORES[self.profile]
        if self.exact:
            return Span(store.expired_from(called, seconds), store.expired_from(returned, seconds))
        lease = seconds * SECOND
        return Span(
            called + lease - store.most_early * MILLISECOND - SKEW,
            returned + lease - store.least_early * MILLISECOND + SKEW,
        )

    def lease_gone(self, called: int, returned: int, seconds: int) -> Span:
        """When nothing can revive that lease any more (K8, H3)."""
        store = STORES[self.profile]
        if self.exact:
            return Span(store.gone_from(called, seconds), store.gone_from(returned, seconds))
        lease, rounding = seconds * SECOND, 500 * MILLISECOND + SKEW
        return Span(called + lease - rounding, returned + lease + rounding)

    def delay_end(self, called: int, returned: int, seconds: int) -> Span:
        """When a task is due that was delayed by `seconds` between `called` and `returned` (C7)."""
        delay = seconds * SECOND
        if self.exact:
            return Span((called + delay) // SECOND * SECOND, (returned + delay) // SECOND * SECOND)
        return Span(called + delay - SECOND - SKEW, returned + delay + SKEW)

    def throttle_end(self, called: int, returned: int, seconds: int) -> Span:
        """When a subscription may be notified again that was between `called` and `returned` (U5, K8)."""
        interval, rounding = seconds * SECOND, 500 * MILLISECOND + SKEW
        return Span(called + interval - rounding, returned + interval + rounding)

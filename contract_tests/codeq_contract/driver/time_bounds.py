"""When a lease ends, a delay is over and a claim repairs: bounds, from the roundings in `stores.py` (K8, C7, Q1).

On a virtual clock the two bounds coincide. On a real one they allow for a clock of the server that is a little wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codeq_contract.clauses import VERSIONS
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.stores import RULES, STORES, Store

#: The largest difference between two machines' clocks, and of a store's own cached clock.
SKEW = 50 * MILLISECOND

#: The longest delay on a busy machine of what happens at once.
LATENESS = 5 * SECOND

#: The largest difference between the clocks of this machine and of the server. If they are further apart, cases would
#: take a right time of the server for a wrong one.
SERVER_SKEW = 5 * SECOND

#: A timer may go off a tick early, and the clock of a webhook on another machine may be a tick ahead.
TICK = 100 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Span:
    """Something happens between `earliest` and `latest` (nanoseconds)."""

    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """The bounds of one target. They are `exact` if its clock stands still during a call.

    `patience` is the number of seconds after which an expected event counts as missing.
    """

    profile: str
    exact: bool
    patience: float
    version: str = VERSIONS[0]

    @property
    def repair_interval(self) -> int:
        """The least time between two repairs of the leases of one command and tenant (Q1)."""
        return RULES[self.version].repair_interval

    @property
    def has_unforeseen_reaper(self) -> bool:
        """Whether a reaper looks for expired leases at moments that a busy server moves (P1)."""
        return bool(self.store.reaper) and not self.exact

    @property
    def store(self) -> Store:
        """The store of this profile."""
        return STORES[self.profile]

    @property
    def table(self) -> Mapping[str, str | bool | float]:
        """The tolerances in seconds, for a report (K8, C7)."""
        return {
            "profile": self.profile,
            "exact": self.exact,
            "patience": self.patience,
            "lease_ends_early_at_least": self.store.least_early * MILLISECOND / SECOND,
            "lease_ends_early_at_most": self.store.most_early * MILLISECOND / SECOND,
            "delay_ends_early_at_most": 1.0,
            "clocks_differ_at_most": self.skew / SECOND,
        }

    @property
    def skew(self) -> int:
        """By how many nanoseconds the clocks of the server and of its store may differ."""
        return 0 if self.exact else SKEW

    @property
    def lateness(self) -> int:
        """By how many nanoseconds a busy server or suite may be late."""
        return 0 if self.exact else LATENESS

    @property
    def server_skew(self) -> int:
        """By how many nanoseconds the server's clock may differ from ours."""
        return 0 if self.exact else SERVER_SKEW

    def lease_end(self, called: int, returned: int, seconds: int) -> Span:
        """When a lease of `seconds`, given between `called` and `returned`, counts as over (K8)."""
        if self.exact:
            return Span(self.store.expired_from(called, seconds), self.store.expired_from(returned, seconds))
        lease = seconds * SECOND
        if self.store.reaper:
            return Span(
                self.store.expired_from(called, seconds) - SKEW, self.store.expired_from(returned, seconds) + SKEW
            )
        return Span(
            called + lease - self.store.most_early * MILLISECOND - SKEW,
            returned + lease - self.store.least_early * MILLISECOND + SKEW,
        )

    def lease_gone(self, called: int, returned: int, seconds: int) -> Span:
        """When no heartbeat can revive that lease any more (K8, H3)."""
        if self.store.reaper:
            end = self.lease_end(called, returned, seconds)
            return Span(end.earliest, end.latest + self.store.reaper + self.skew)
        if self.exact:
            return Span(self.store.gone_from(called, seconds), self.store.gone_from(returned, seconds))
        return _with_rounding(called, returned, seconds)

    def delay_end(self, called: int, returned: int, seconds: int) -> Span:
        """When a task, delayed by `seconds` between `called` and `returned`, is due (C7)."""
        delay = seconds * SECOND
        if self.exact:
            return Span((called + delay) // SECOND * SECOND, (returned + delay) // SECOND * SECOND)
        return Span(called + delay - SECOND - SKEW, returned + delay + SKEW)

    def moment_due(self, moment: int) -> Span:
        """When a task for `moment` is due (C7), by a clock that may be that of another machine."""
        if self.exact:
            return Span(moment // SECOND * SECOND, moment // SECOND * SECOND)
        return Span(moment - SECOND - SERVER_SKEW, moment + SERVER_SKEW)

    def throttle_end(self, called: int, returned: int, seconds: int) -> Span:
        """When a subscription, notified between `called` and `returned`, may be notified again (U5, K8)."""
        if self.exact and self.store.reaper:  # it has no keys that expire
            return Span(called + seconds * SECOND, returned + seconds * SECOND)
        if self.exact:
            return Span(self.store.gone_from(called, seconds), self.store.gone_from(returned, seconds))
        return _with_rounding(called, returned, seconds)


def _with_rounding(called: int, returned: int, seconds: int) -> Span:
    """When a key with this time to live is gone from any store."""
    interval, rounding = seconds * SECOND, 500 * MILLISECOND + SKEW
    return Span(called + interval - rounding, returned + interval + rounding)

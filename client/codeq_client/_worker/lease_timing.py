"""When a lease is renewed and when it counts as over, without clock, network or loop: time is always an argument.

The server does not report that a lease ended. Even a heartbeat that comes too late is answered like any other (H3), and
another process with the same token counts as the holder. So the worker keeps a *fence*: the moment, on its own clock
and on the safe side of all rounding by the server (K8), from which it must not act as the holder. The fence is measured
from when the claim or the renewal was *sent*: the server counts from a later moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from codeq_client._api.arguments import check_number
from codeq_client.errors import ConfigurationError

Store: TypeAlias = Literal["kvrocks-2.8", "kvrocks-2.9", "redis", "pebble"]

_STORE_EARLY = {"kvrocks-2.8": 1.5, "kvrocks-2.9": 1.0, "redis": 0.5, "pebble": 1.0}  # K8, P2: a lease may end so early
_REACTION_SECONDS = 0.5
"""The time in which a handler can end before its lease does."""
_DRIFT = 0.01
"""How much two clocks may differ in the length of a lease, as a part of it."""
_SHORTEST_USE = 2.0
"""Seconds of a lease that a handler must have at least."""

_FIRST_RETRY_SECONDS = 0.25
"""The pause before a heartbeat without an answer is sent again. It doubles with each further one."""

# Divisors of the length of a lease.
_RENEWALS = 3
"""So many heartbeats are sent in the length of a lease, if each is answered."""
_LONGEST_RETRY = 12
"""The longest pause before a heartbeat without an answer is sent again."""
_LONGEST_ANSWER = 6
"""How long a heartbeat may wait for its answer, so that there is time for another try."""

_SPREAD = 10
"""A heartbeat comes earlier by up to one part in this number, drawn, so that workers do not renew at once."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long leases last, in whole seconds, and their limits; the other durations are in seconds too.

    `store` is the store of the server; the default is the one whose leases end earliest. `max_runtime` limits how long
    a handler may run in total (None: for ever), `stall` how long without reporting progress.
    """

    seconds: int = 60
    store: Store = "kvrocks-2.8"
    max_runtime: float | None = 3600
    stall: float | None = None

    def __post_init__(self) -> None:
        if self.store not in _STORE_EARLY:
            raise ConfigurationError(f"store {self.store!r} is not one of {', '.join(_STORE_EARLY)}")
        if not isinstance(self.seconds, int):
            raise ConfigurationError(f"a lease must be whole seconds, not {self.seconds!r}")
        for name, limit in (("max_runtime", self.max_runtime), ("stall", self.stall)):
            if limit is not None:
                check_number(limit, name)
        if self.seconds - self.margin < _SHORTEST_USE:
            shortest = math.ceil((_SHORTEST_USE + _STORE_EARLY[self.store] + _REACTION_SECONDS) / (1 - _DRIFT))
            raise ConfigurationError(f"a lease must be whole seconds, at least {shortest}, not {self.seconds}")

    @property
    def margin(self) -> float:
        """The time from the fence to the nominal end of the lease: for rounding, clock drift, and time to stop."""
        return _STORE_EARLY[self.store] + _REACTION_SECONDS + self.seconds * _DRIFT

    @property
    def renewal_timeout(self) -> float:
        """How long one renewal may wait for its answer."""
        return self.seconds / _LONGEST_ANSWER

    @property
    def longest_wait(self) -> int:
        """The longest poll that leaves a claimed task most of its lease, which counts from the start of the poll."""
        return self.seconds // 3


class End(Enum):
    """Why a handler must end early."""

    EXPIRED = "expired"
    """The fence was reached: no renewal was confirmed in time."""
    REVOKED = "revoked"
    """The server said that another worker, or no worker, has the lease."""
    OVERDUE = "overdue"
    """The handler ran longer than `max_runtime`."""
    STALLED = "stalled"
    """The handler reported no progress for `stall` seconds."""
    SHUTDOWN = "shutdown"
    """The worker is stopping and the grace period is over."""

    @property
    def lost(self) -> bool:
        """Whether another worker may have the task by now, so that nothing more may be sent for it."""
        return self in {End.EXPIRED, End.REVOKED}


class Lease:
    """One lease: its fence, when to renew it next, and whether it is over. Once over, it stays over.

    Only the renewal loop renews; another thread may read, `stop` and `progress`. There is no lock: the assignments are
    ordered so that every interleaving is safe.
    """

    def __init__(self, terms: LeaseTerms, *, sent: float, now: float, random: Callable[[], float]) -> None:
        self._terms = terms
        self._random = random
        self._started = now
        self._progressed = now
        self._sent: float | None = None  # when the renewal was sent whose outcome is not known yet
        self._failures = 0  # renewals without an answer since the last confirmed one
        self._stopped = False
        self._end: End | None = None
        self._fence = self._fence_from(sent)
        self._due = self._due_from(sent)  # when to send the next renewal

    @property
    def renewing(self) -> bool:
        """Whether a renewal was sent and its outcome is not known yet."""
        return self._sent is not None

    @property
    def stopped(self) -> bool:
        """Whether no more renewals are to be sent."""
        return self._stopped

    def ended(self, now: float) -> End | None:
        """Return why the handler must end, or None."""
        if self._end is None:
            self._end = self._reason_to_end(now)
        return self._end

    def remaining(self, now: float) -> float:
        """Return the seconds until the fence, 0 if the lease is over."""
        end = self.ended(now)
        return 0.0 if end and end.lost else max(0.0, self._fence - now)

    def lost(self, now: float) -> bool:
        """Return whether nothing more may be sent for the task: also past the fence of an overdue handler."""
        end = self.ended(now)
        return (end is not None and end.lost) or now >= self._fence

    def renewal_due(self, now: float) -> bool:
        """Return whether to send a renewal now."""
        return not (self._stopped or self.renewing or self.ended(now)) and now >= self._due

    def next_event(self) -> float:
        """Return the next moment at which `ended` or `renewal_due` may change only because time passes."""
        limits = [self._fence]
        if not (self._stopped or self.renewing):
            limits.append(self._due)
        if self._terms.max_runtime is not None:
            limits.append(self._started + self._terms.max_runtime)
        if self._terms.stall is not None:
            limits.append(self._progressed + self._terms.stall)
        return min(limits)

    def note_renewal_sent(self, now: float) -> None:
        """Note that a renewal was sent."""
        self._sent = now

    def note_renewed(self, now: float) -> None:
        """Note that a renewal was confirmed. A confirmation after the fence proves nothing (H3)."""
        sent, self._sent = self._sent, None
        if sent is not None and not self.ended(now):
            self._failures = 0
            self._due = self._due_from(sent)
            self._fence = self._fence_from(sent)

    def note_unanswered(self, now: float) -> None:
        """Note that no answer came, unless one did: try again soon, until the fence."""
        if self._sent is None:
            return
        self._sent = None
        pause = _FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 10)
        self._due = now + min(self._terms.seconds / _LONGEST_RETRY, pause)
        self._failures += 1

    def note_revoked(self) -> None:
        """Note that the server said the lease is not ours."""
        self._sent = None
        self._end = self._end or End.REVOKED

    def renew_now(self, now: float) -> None:
        """Make the next renewal due at once."""
        self._due = min(self._due, now)

    def progress(self, now: float) -> None:
        """Note that the handler made progress."""
        self._progressed = now

    def postpone(self) -> None:
        """Note that the handler has not begun: the limits of its time count from `begin`."""
        self._started = self._progressed = math.inf

    def begin(self, now: float) -> None:
        """Note that the handler begins."""
        self._started = self._progressed = now

    def stop(self) -> None:
        """Send no more renewals."""
        self._stopped = True

    def _reason_to_end(self, now: float) -> End | None:
        """Return why the handler has to end at a moment, or None."""
        terms = self._terms
        if now >= self._fence:
            return End.EXPIRED
        if terms.max_runtime is not None and now - self._started >= terms.max_runtime:
            return End.OVERDUE
        if terms.stall is not None and now - self._progressed >= terms.stall:
            return End.STALLED
        return None

    def _fence_from(self, sent: float) -> float:
        """When the lease of a request sent at `sent` counts as over."""
        return sent + self._terms.seconds - self._terms.margin

    def _due_from(self, sent: float) -> float:
        """When to renew a lease of a request sent at `sent`."""
        return sent + self._terms.seconds / _RENEWALS * (1 - self._random() / _SPREAD)

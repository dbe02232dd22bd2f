"""What a worker knows of one lease, without clock, network or loop: every method is told the time.

The server tells nobody that a lease ended; a heartbeat that comes too late is even answered like any other (H3), and
another process with the same token passes for the holder. So the worker keeps a *fence*: the moment, on its own
clock and on the safe side of every rounding of the server's (K8), from which it must not act as the holder. The fence
is measured from when the claim or the renewal was *sent*: the server counts from a moment after that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

from codeq_client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

Store: TypeAlias = Literal["kvrocks-2.8", "kvrocks-2.9", "redis"]

_STORE_EARLY = {"kvrocks-2.8": 1.5, "kvrocks-2.9": 1.0, "redis": 0.5}  # K8: how much sooner a lease may end
_REACTION_SECONDS = 0.5
_DRIFT = 0.01
_SHORTEST_USE = 2.0


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long leases are, in whole seconds, and how they are kept; the other durations are seconds too.

    `store` is what the server keeps its state in; the default is the one whose leases end earliest. `max_runtime` and
    `stall` cap what a handler may take in all, and without reporting progress.
    """

    seconds: int = 60
    store: Store = "kvrocks-2.8"
    max_runtime: float | None = None
    stall: float | None = None

    def __post_init__(self) -> None:
        if self.store not in _STORE_EARLY:
            raise ConfigurationError(f"store {self.store!r} is none of {', '.join(_STORE_EARLY)}")
        if self.seconds != int(self.seconds) or self.seconds - self.margin < _SHORTEST_USE:
            shortest = math.ceil((_SHORTEST_USE + _STORE_EARLY[self.store] + _REACTION_SECONDS) / (1 - _DRIFT))
            raise ConfigurationError(f"a lease must be whole seconds, {shortest} at least, not {self.seconds}")

    @property
    def margin(self) -> float:
        """How long before the lease's nominal end the fence stands: rounding, drift, and time to stop."""
        return _STORE_EARLY[self.store] + _REACTION_SECONDS + self.seconds * _DRIFT

    @property
    def renewal_timeout(self) -> float:
        """How long one renewal may wait for its answer, so that there is time for another."""
        return self.seconds / 6

    @property
    def longest_wait(self) -> int:
        """The longest poll after which a claimed task still has most of its lease: the lease counts from its start."""
        return self.seconds // 3


class End(Enum):
    """Why a handler must end before it is done."""

    EXPIRED = "expired"
    """The fence was reached: no renewal was confirmed in time."""
    REVOKED = "revoked"
    """The server said that the lease is not ours."""
    OVERDUE = "overdue"
    """The handler took longer than it may."""
    STALLED = "stalled"
    """The handler reported no progress for too long."""
    SHUTDOWN = "shutdown"
    """The worker is stopping and the time of grace is over."""

    @property
    def lost(self) -> bool:
        """Whether the task may be another worker's by now, so that nothing more may be sent for it."""
        return self in {End.EXPIRED, End.REVOKED}


class Lease:
    """One lease: its fence, when to renew it next, and whether it is over. Once over, it is for good.

    The lease loop alone renews; another thread may read, `stop` and `progress`. The order of the assignments makes
    every interleaving end on the safe side, so that there is no lock.
    """

    def __init__(self, terms: LeaseTerms, *, sent: float, now: float, random: Callable[[], float]) -> None:
        self._terms = terms
        self._random = random
        self._started = now
        self._progressed = now
        self._sent: float | None = None
        self._failures = 0
        self._stopped = False
        self._end: End | None = None
        self._fence = self._fence_from(sent)
        self._due = self._due_from(sent)

    @property
    def renewing(self) -> bool:
        """Whether a renewal was sent and its outcome is not known yet."""
        return self._sent is not None

    def ended(self, now: float) -> End | None:
        """Return why the handler must end, None while it need not."""
        if self._end is None:
            self._end = self._reason_to_end(now)
        return self._end

    def remaining(self, now: float) -> float:
        """Return the seconds until the fence, 0 when the lease is over."""
        end = self.ended(now)
        return 0.0 if end and end.lost else max(0.0, self._fence - now)

    def lost(self, now: float) -> bool:
        """Whether nothing more may be sent for the task; unlike `ended` also past the fence of an overdue handler."""
        end = self.ended(now)
        return (end is not None and end.lost) or now >= self._fence

    def renewal_due(self, now: float) -> bool:
        """Whether to send a renewal now."""
        return not (self._stopped or self.renewing or self.ended(now)) and now >= self._due

    def next_event(self) -> float:
        """Return the moment at which `ended` or `renewal_due` may change on their own."""
        limits = [self._fence]
        if not (self._stopped or self.renewing):
            limits.append(self._due)
        if self._terms.max_runtime is not None:
            limits.append(self._started + self._terms.max_runtime)
        if self._terms.stall is not None:
            limits.append(self._progressed + self._terms.stall)
        return min(limits)

    def renewal_sent(self, now: float) -> None:
        """Note that a renewal is on its way."""
        self._sent = now

    def renewed(self, now: float) -> None:
        """Note the server's yes. One that comes after the fence proves nothing (H3)."""
        sent, self._sent = self._sent, None
        if sent is not None and not self.ended(now):
            self._failures = 0
            self._due = self._due_from(sent)
            self._fence = self._fence_from(sent)

    def unanswered(self, now: float) -> None:
        """Note that no answer came, unless one did: try again soon, until the fence."""
        if self._sent is None:
            return
        self._sent = None
        self._due = now + min(self._terms.seconds / 12, 0.25 * 2.0 ** min(self._failures, 10))
        self._failures += 1

    def revoked(self) -> None:
        """Note that the server said the lease is not ours."""
        self._sent = None
        self._end = self._end or End.REVOKED

    def hurry(self, now: float) -> None:
        """Make the next renewal due at once."""
        self._due = min(self._due, now)

    def progress(self, now: float) -> None:
        """Note that the handler is getting on."""
        self._progressed = now

    def stop(self) -> None:
        """Send no more renewals."""
        self._stopped = True

    def _reason_to_end(self, now: float) -> End | None:
        terms = self._terms
        if now >= self._fence:
            return End.EXPIRED
        if terms.max_runtime is not None and now - self._started >= terms.max_runtime:
            return End.OVERDUE
        if terms.stall is not None and now - self._progressed >= terms.stall:
            return End.STALLED
        return None

    def _fence_from(self, sent: float) -> float:
        return sent + self._terms.seconds - self._terms.margin

    def _due_from(self, sent: float) -> float:
        return sent + self._terms.seconds / 3 * (1 - self._random() / 10)

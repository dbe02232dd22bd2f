"""Rate limits: one token bucket for each bearer token and scope (L1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from .times import SECOND

#: What can have a limit.
SCOPES = ("producer", "worker", "admin", "webhook")

#: With more buckets than this, the full ones are dropped, so that many different tokens do not fill the memory.
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The size of a token bucket and its refill rate. If either is not positive, there is no limit."""

    requests_per_minute: int = 0
    burst_size: int = 0


class RateLimiter:
    """The token buckets of all limited scopes. A key is a bearer token, or a URL in the scope `webhook`."""

    def __init__(self, limits: Mapping[str, RateLimit]) -> None:
        self._limits = {
            scope: limit for scope, limit in limits.items() if limit.requests_per_minute > 0 and limit.burst_size > 0
        }
        #: (scope, key) -> the number of tokens, and the instant (ns) at which it was counted.
        self.buckets: dict[tuple[str, str], tuple[float, int]] = {}

    def admit(self, scope: str, key: str, *, now: int) -> int:
        """Take one token. Returns 0 if there was one, else the whole seconds to wait, at least 1."""
        limit = self._limits.get(scope)
        if limit is None:
            return 0
        rate = limit.requests_per_minute / 60
        tokens = self._tokens(limit, (scope, key), now=now)
        if tokens >= 1:
            self.buckets[scope, key] = (tokens - 1, now)
            return 0
        self.buckets[scope, key] = (tokens, now)
        return max(1, ceil((1 - tokens) / rate))

    def _tokens(self, limit: RateLimit, bucket: tuple[str, str], *, now: int) -> float:
        """How many tokens a bucket has now. A new one is full."""
        earlier = self.buckets.get(bucket)
        if earlier is None:
            self._drop_full(now=now)
            return float(limit.burst_size)
        tokens, since = earlier
        return min(float(limit.burst_size), tokens + (now - since) * limit.requests_per_minute / 60 / SECOND)

    def _drop_full(self, *, now: int) -> None:
        """Drop the buckets that are full, if there are many: a new one would be full, too."""
        if len(self.buckets) < _MANY:
            return
        for bucket in list(self.buckets):
            limit = self._limits.get(bucket[0])  # None: a restored state had a limit that these settings do not have
            if limit is None or self._tokens(limit, bucket, now=now) >= limit.burst_size:
                del self.buckets[bucket]

"""Rate limits: one token bucket per bearer token and scope (L1)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from .times import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .rules import Limit

#: Full buckets are forgotten when there are more than this many, so that a flood of tokens does not fill the memory.
_MANY = 10_000


class Limiter:
    """The buckets of every scope that has a limit. Keys are bearer tokens, or URLs in the scope ``webhook``."""

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        self._limits = {scope: limit for scope, limit in limits.items() if limit.per_minute > 0 and limit.burst > 0}
        #: (scope, key) -> tokens left, and when that was true (ns).
        self.buckets: dict[tuple[str, str], tuple[float, int]] = {}

    def admit(self, scope: str, key: str, *, now: int) -> int:
        """Take one token: 0 when there was one, else the whole seconds to wait, at least 1."""
        limit = self._limits.get(scope)
        if limit is None:
            return 0
        rate = limit.per_minute / 60
        tokens = self._tokens(limit, (scope, key), now=now)
        if tokens >= 1:
            self.buckets[scope, key] = (tokens - 1, now)
            return 0
        self.buckets[scope, key] = (tokens, now)
        return max(1, ceil((1 - tokens) / rate))

    def _tokens(self, limit: Limit, bucket: tuple[str, str], *, now: int) -> float:
        kept = self.buckets.get(bucket)
        if kept is None:
            self._forget_full(now=now)
            return float(limit.burst)
        tokens, since = kept
        return min(float(limit.burst), tokens + (now - since) * limit.per_minute / 60 / SECOND)

    def _forget_full(self, *, now: int) -> None:
        if len(self.buckets) < _MANY:
            return
        for bucket in list(self.buckets):
            limit = self._limits[bucket[0]]
            if self._tokens(limit, bucket, now=now) >= limit.burst:
                del self.buckets[bucket]

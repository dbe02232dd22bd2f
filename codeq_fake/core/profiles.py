"""Store profiles: the rules that differ between Redis, KVRocks 2.8 and KVRocks 2.9 (K8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .times import MILLISECOND, SECOND, seconds

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class StoreProfile:
    """How a store handles the time to live of a key.

    `whole_seconds`: the store rounds the instant of expiry to a whole second.
    `early_ms`: the store's `TTL` command returns 0 from this many milliseconds before that instant.
    `expiry_error`: the store's error if a key with a time to live that is not positive is set.
    """

    name: str
    whole_seconds: bool
    early_ms: int
    expiry_error: str = "ERR invalid expire time"

    def key_gone_at(self, ttl_seconds: int, *, now: int) -> int:
        """The instant (ns) from which a key is gone that gets this time to live at `now` (K8).

        The time to live is a Go duration. The store gets its whole seconds, at least one; if it is not positive, the
        key is gone at once (K11).
        """
        ttl = seconds(ttl_seconds)
        if ttl <= 0:
            return now
        end = (now + max(ttl - ttl % SECOND, SECOND)) // MILLISECOND
        if self.whole_seconds:
            end = (end + 499) // _SECOND_MS * _SECOND_MS
        return end * MILLISECOND

    def lease_expired_from(self, key_gone_at: int) -> int:
        """The instant (ns) from which a lease counts as expired, since the `TTL` of its key is 0 (K8)."""
        return key_gone_at - self.early_ms * MILLISECOND


PROFILES: Mapping[str, StoreProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            # (E - now + 500) / 1000 is 0 from 499 ms before E.
            StoreProfile(
                "redis",
                whole_seconds=False,
                early_ms=499,
                expiry_error="ERR invalid expire time in 'setex' command",
            ),
            # (E - now) / 1000 is 0 from 999 ms before E.
            StoreProfile("kvrocks-2.8", whole_seconds=True, early_ms=999),
            StoreProfile("kvrocks-2.9", whole_seconds=False, early_ms=999),
        )
    }
)

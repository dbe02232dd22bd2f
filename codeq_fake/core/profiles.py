"""Store profiles: the rules that differ between Redis, KVRocks 2.8 and KVRocks 2.9 (K8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .times import MILLISECOND, seconds

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class StoreProfile:
    """How a store handles the time to live of a key.

    `whole_seconds`: the store rounds the instant of expiry to a whole second.
    `early_ms`: the store's `TTL` command returns 0 from this many milliseconds before that instant.
    """

    name: str
    whole_seconds: bool
    early_ms: int

    def key_gone_at(self, ttl_seconds: int, *, now: int) -> int:
        """The instant (ns) from which a key is gone that is set at `now` with this time to live (K8)."""
        end = (now + seconds(ttl_seconds)) // MILLISECOND
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
            StoreProfile("redis", whole_seconds=False, early_ms=499),
            # (E - now) / 1000 is 0 from 999 ms before E.
            StoreProfile("kvrocks-2.8", whole_seconds=True, early_ms=999),
            StoreProfile("kvrocks-2.9", whole_seconds=False, early_ms=999),
        )
    }
)

"""The store behind the server: the only rules that differ between Redis and the two ages of KVRocks (K8)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from .times import MILLISECOND, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class StoreProfile:
    """How one store keeps a key's time to live.

    ``whole_seconds``: the store rounds the instant of expiry to a whole second.
    ``early_ms``: the store's ``TTL`` command says 0 from this many milliseconds before that instant.
    """

    name: str
    whole_seconds: bool
    early_ms: int

    def expiry(self, ttl_seconds: int, *, now: int) -> int:
        """The instant (ns) from which a key set at ``now`` with this time to live is gone (K8)."""
        end = (now + seconds(ttl_seconds)) // MILLISECOND
        if self.whole_seconds:
            end = (end + 499) // _SECOND_MS * _SECOND_MS
        return end * MILLISECOND

    def spent_from(self, expiry: int) -> int:
        """The instant (ns) from which a lease with this expiry counts as run out: its ``TTL`` reads 0 (K8)."""
        return expiry - self.early_ms * MILLISECOND


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

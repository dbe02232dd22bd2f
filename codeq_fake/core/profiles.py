"""Profiles: a version of CodeQ with a store. In what they differ is a value here, never a name elsewhere.

To add a version, add a `Version` to `VERSIONS` and the rules that are new; to add a store, a `Store` to `STORES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .times import MILLISECOND, SECOND, seconds

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Version:
    """What a version of CodeQ does. The defaults are v0.3.3.

    `repair_interval`: the least time (ns) between two repairs of the expired leases of one command and tenant (Q1).
    `batch_calls_back`: the batch of results sends callbacks, with an empty list for no artifacts (G5).
    `dead_letter_calls_back`: a NACK that makes a dead letter sends a callback (G6).
    `checks_artifact_names`: an artifact's name may not lead out of the folder (G9).
    `has_strict_tenants`: tenant claims must agree and have one form (G4).
    `has_multi_auth`: the provider `multi` tries several (G8).
    `claim_errors_are_400`: an error of R3 that was a 500 is a 400 (G7).
    `waits_for_results`: R13 waits for a result (G1).
    `drops_content_type`: a callback that a redirect turns into a GET has no content type (W4).
    `has_topics`: the routes of topics and of the Raft status (G2, G3).
    """

    name: str
    repair_interval: int = 0
    batch_calls_back: bool = False
    dead_letter_calls_back: bool = False
    checks_artifact_names: bool = False
    has_strict_tenants: bool = False
    has_multi_auth: bool = False
    claim_errors_are_400: bool = False
    waits_for_results: bool = False
    drops_content_type: bool = False
    has_topics: bool = False


@dataclass(frozen=True, slots=True)
class Store:
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


#: What v0.3.3 is called where a profile names only its store.
_UNNAMED = "v0.3.3"

VERSIONS = (
    Version(_UNNAMED),
    Version(
        "main",
        repair_interval=500 * MILLISECOND,
        batch_calls_back=True,
        dead_letter_calls_back=True,
        checks_artifact_names=True,
        has_strict_tenants=True,
        has_multi_auth=True,
        claim_errors_are_400=True,
        waits_for_results=True,
        drops_content_type=True,
        has_topics=True,
    ),
)

STORES = (
    # (E - now + 500) / 1000 is 0 from 499 ms before E.
    Store("redis", whole_seconds=False, early_ms=499, expiry_error="ERR invalid expire time in 'setex' command"),
    # (E - now) / 1000 is 0 from 999 ms before E.
    Store("kvrocks-2.8", whole_seconds=True, early_ms=999),
    Store("kvrocks-2.9", whole_seconds=False, early_ms=999),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """A version with a store. The name of v0.3.3's profiles is that of the store alone."""

    version: Version
    store: Store

    @property
    def name(self) -> str:
        """`main/redis`, or `redis` for v0.3.3."""
        return self.store.name if self.version.name == _UNNAMED else f"{self.version.name}/{self.store.name}"


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (Profile(version, store) for version in VERSIONS for store in STORES)}
)


def canonical_name(text: str) -> str:
    """The name in `PROFILES` of a profile that may be written with the version that it needs not have."""
    return text.removeprefix(f"{_UNNAMED}/")

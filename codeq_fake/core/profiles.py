"""Profiles: a version of CodeQ with a store. In what they differ is a value here, never a name elsewhere.

To add a version, add a `Version` to `VERSIONS` and the rules that are new; to add a store, a `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .times import MILLISECOND, NEVER, SECOND, floor_to_second, seconds

_SECOND_MS = 1000


class Store(NamedTuple):
    """What a store does. The defaults are Redis and KVRocks, where a lease is a key with a time to live.

    `whole_seconds`: the store rounds the instant at which a key expires to a whole second.
    `early_ms`: the store's `TTL` command returns 0 from this many milliseconds before that instant.
    `expiry_error`: the store's error if a key with a time to live that is not positive is set (K11).

    An embedded store is a part of the server's process, and what the others do with keys the server does itself:

    `reaper_interval`: the time (ns) between two looks of the reaper at the leases; 0: there is no reaper (P1, P5, P6).
    `has_ttl`: a key can have a time to live. Otherwise a lease ends at a whole second, a late heartbeat renews it, any
    length is accepted (P2, P3, P16), and an idempotency key does not end (P11).
    `takes_blank_keys`: a blank idempotency key is a key (P11).
    `seeds_jitter`: the jittered delay after an expiry is always the same (P7).
    `ends_tasks`: a task ends 24 h after its creation (`retention`), and a clean-up leaves its id in its queue (P8).
    `subscription_ttl`, `notice_interval`: of a subscription that asks for none, in seconds; 0: no throttle (P9).
    `first_turn`: the number of a group's first turn (P9).
    `has_subscription_index`: subscriptions live until the end of a second, the sweep deletes those of all commands, and
    a command is announced only as a subscriber has written it, in upper or lower case (P9).
    `announces_all`: each create that is ready at once notifies, not only the first of an empty queue (P10).
    `lists_all_queues`: R14 has the queues of all tenants that are not empty, and the metrics have no gauges (P12).
    `splits_batches`: an unknown id sends each result of a batch through R8 (P13).
    `stores_traces`: a task keeps its trace (P14).
    `moves_tenantless`: a claim also moves the due tasks of the queue without tenant (P15).
    """

    name: str
    whole_seconds: bool = False
    early_ms: int = 0
    expiry_error: str = "ERR invalid expire time"
    reaper_interval: int = 0
    has_ttl: bool = True
    takes_blank_keys: bool = False
    seeds_jitter: bool = False
    ends_tasks: bool = False
    subscription_ttl: int = 300
    notice_interval: int = 5
    first_turn: int = 1
    has_subscription_index: bool = False
    announces_all: bool = False
    lists_all_queues: bool = False
    splits_batches: bool = True
    stores_traces: bool = True
    moves_tenantless: bool = True

    def key_expiry(self, ttl_seconds: int, *, now: int) -> int:
        """The instant (ns) from which the store no longer has a key that gets this time to live at `now` (K8).

        The time to live is a Go duration. The store gets its whole seconds, at least one; if it is not positive, the
        key is gone at once (K11).
        """
        ttl = seconds(ttl_seconds)
        if ttl <= 0:
            return now
        end = (now + max(ttl - ttl % SECOND, SECOND)) // MILLISECOND
        if self.whole_seconds:
            # To the nearest second; half a second is rounded down.
            end = (end + 499) // _SECOND_MS * _SECOND_MS
        return end * MILLISECOND

    @property
    def lease_expiry_of(self) -> Callable[..., int]:
        """The function that gives `Task.lease_expiry`, called as `key_expiry`. Claims call it: look it up once."""
        return self.key_expiry if self.has_ttl else _second_of_end

    def lease_expired_from(self, lease_expiry: int) -> int:
        """The instant (ns) from which claims count a lease as expired: the `TTL` of its key is 0 from then on (K8).

        `lease_expiry` is that of the task: the instant from which the key itself is gone.
        """
        return lease_expiry - self.early_ms * MILLISECOND

    def throttle_end(self, interval_seconds: int, *, now: int) -> int:
        """The instant (ns) from which a subscription may get a notice after the one at `now` (U5, P9).

        A key that is set for no time at all has no time to live.
        """
        interval = seconds(interval_seconds)
        if not self.has_ttl:
            return now + interval
        return self.key_expiry(interval_seconds, now=now) if interval else NEVER


def _second_of_end(lease_seconds: int, *, now: int) -> int:
    """The whole second at which a lease ends, or `now` if its length is not positive (P2, P16)."""
    return max(now, floor_to_second(now + seconds(lease_seconds)))


STORES = (
    # (E - now + 500) / 1000 is 0 from 499 ms before E.
    Store("redis", whole_seconds=False, early_ms=499, expiry_error="ERR invalid expire time in 'setex' command"),
    # (E - now) / 1000 is 0 from 999 ms before E.
    Store("kvrocks-2.8", whole_seconds=True, early_ms=999),
    Store("kvrocks-2.9", whole_seconds=False, early_ms=999),
)

PEBBLE = Store(
    "pebble",
    reaper_interval=2 * SECOND,
    has_ttl=False,
    takes_blank_keys=True,
    seeds_jitter=True,
    ends_tasks=True,
    subscription_ttl=60,
    notice_interval=0,
    first_turn=0,
    has_subscription_index=True,
    announces_all=True,
    lists_all_queues=True,
    splits_batches=False,
    stores_traces=False,
    moves_tenantless=False,
)


class Version(NamedTuple):
    """What a version of CodeQ does. The defaults are v0.3.3.

    `stores`: those that it can use.
    `repair_interval`: the least time (ns) between two repairs of the expired leases of one command and tenant (Q1).
    `batch_calls_back`: the batch of results sends callbacks, with an empty list for no artifacts (G5).
    `dead_letter_calls_back`: a NACK that makes a dead letter sends a callback (G6).
    `checks_artifact_names`: an artifact's name may not lead out of the folder (G9).
    `has_strict_tenants`: tenant claims must agree and have one form (G4).
    `has_multi_auth`: the provider `multi` tries several (G8).
    `claim_errors_are_400`: an error of R3 that was a 500 is a 400 (G7).
    `waits_for_results`: R13 waits for a result (G1).
    `drops_content_type`: a callback that a redirect turns into a GET has no content type (W4).
    `knows_random_flag`: a trace may have the flag "random" beside "sampled" (X1).
    `has_topics`: the routes of topics and of the Raft status (G2, G3).
    """

    name: str
    stores: tuple[Store, ...] = STORES
    repair_interval: int = 0
    batch_calls_back: bool = False
    dead_letter_calls_back: bool = False
    checks_artifact_names: bool = False
    has_strict_tenants: bool = False
    has_multi_auth: bool = False
    claim_errors_are_400: bool = False
    waits_for_results: bool = False
    drops_content_type: bool = False
    knows_random_flag: bool = False
    has_topics: bool = False


#: What v0.3.3 is called where a profile names only its store.
_UNNAMED = "v0.3.3"

VERSIONS = (
    Version(_UNNAMED),
    Version(
        "main",
        stores=(*STORES, PEBBLE),
        repair_interval=500 * MILLISECOND,
        batch_calls_back=True,
        dead_letter_calls_back=True,
        checks_artifact_names=True,
        has_strict_tenants=True,
        has_multi_auth=True,
        claim_errors_are_400=True,
        waits_for_results=True,
        drops_content_type=True,
        knows_random_flag=True,
        has_topics=True,
    ),
)


class Profile(NamedTuple):
    """A version with a store. The name of v0.3.3's profiles is that of the store alone."""

    version: Version
    store: Store

    @property
    def name(self) -> str:
        """`main/redis`, or `redis` for v0.3.3."""
        return self.store.name if self.version.name == _UNNAMED else f"{self.version.name}/{self.store.name}"


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (Profile(version, store) for version in VERSIONS for store in version.stores)}
)


def canonical_name(text: str) -> str:
    """The name in `PROFILES` of a profile that may be written with the version that it needs not have."""
    return text.removeprefix(f"{_UNNAMED}/")

"""The stores that a CodeQ server may use, when a lease counts as expired on each (K8), and what its version changes.

This is the one place with these numbers: the driver's time bounds and the checker's laws both follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from codeq_contract.recordings.times import MILLISECOND, SECOND


@dataclass(frozen=True, slots=True)
class Store:
    """How a store rounds times to live: by how many milliseconds before its end a lease counts as expired.

    A store that `rounds` first rounds the end to a whole second. One with a `reaper` looks for expired leases itself,
    every so many nanoseconds, and lets them end with the second of their end (P1, P2).

    A subscription that asks for no time lasts `subscription_ttl` seconds (U1, P9). A task lives for `task_life`
    nanoseconds, or until a clean-up if that is 0 (P8).
    """

    least_early: int
    most_early: int
    rounds: bool = False
    reaper: int = 0
    subscription_ttl: int = 300
    task_life: int = 0

    def expired_from(self, claimed: int, seconds: int) -> int:
        """The exact moment from which a lease given exactly at `claimed` counts as expired."""
        if self.reaper:
            return (claimed + seconds * SECOND) // SECOND * SECOND
        no_second_left = 999 if self.rounds else self.most_early - 1  # up to so many ms the `TTL` is 0 (K8)
        return self.gone_from(claimed, seconds) - no_second_left * MILLISECOND

    def gone_from(self, claimed: int, seconds: int) -> int:
        """The exact moment from which no heartbeat revives that lease: its key is gone, or the reaper has looked."""
        if self.reaper:
            return self.expired_from(claimed, seconds) + self.reaper
        end = claimed // MILLISECOND + seconds * 1000
        return ((end + 499) // 1000 * 1000 if self.rounds else end) * MILLISECOND


STORES: Mapping[str, Store] = MappingProxyType(
    {
        "redis": Store(500, 500),
        "kvrocks-2.9": Store(1000, 1000),
        "kvrocks-2.8": Store(500, 1500, rounds=True),
        "pebble": Store(0, 1000, reaper=2 * SECOND, subscription_ttl=60, task_life=86_400 * SECOND),
        # An unknown one, Redis or KVRocks: the bounds of both.
        "any": Store(500, 1500),
    }
)


@dataclass(frozen=True, slots=True)
class Version:
    """What a version of the contract says of times and callbacks, and where it reads the tenant.

    A claim repairs a queue if the last repair was at least `repair_interval` nanoseconds ago (Q1). If a version
    `always_calls_back`, results in a batch and dead letters call the webhook as well (G5, G6). The `tenant_claims` of a
    token are in the order in which they count (A9, G4).
    """

    repair_interval: int = 0
    always_calls_back: bool = False
    tenant_claims: tuple[str, ...] = ("tenantId", "tenant_id", "organizationId", "organization_id")


_FIRST = Version()
_UNNAMED = "v0.3.3"

#: The versions of the contract by their names.
RULES: Mapping[str, Version] = MappingProxyType(
    {
        _UNNAMED: _FIRST,
        "main": Version(
            repair_interval=500 * MILLISECOND,
            always_calls_back=True,
            tenant_claims=("tid", *_FIRST.tenant_claims),
        ),
    }
)

EMBEDDED = "pebble"
"""The store that is a part of the server, which only the main branch has."""

_SEPARATE = tuple(name for name in STORES if name not in (EMBEDDED, "any"))

#: What a server can be: the stores of v0.3.3 by their names alone, those of the main branch with its name.
PROFILES = (*_SEPARATE, *(f"main/{name}" for name in (*_SEPARATE, EMBEDDED)))


def store_of(profile: str) -> Store:
    """The store of a profile, which may name a version before it. One that is not known may be any."""
    return STORES.get(profile.rpartition("/")[2], STORES["any"])


def known_profile(name: str) -> str:
    """The name in `PROFILES` of a profile that may be written with the version that it needs not have.

    Raises ValueError, which names all profiles and the nearest.
    """
    short = name.removeprefix(f"{_UNNAMED}/")
    if short not in PROFILES:
        raise ValueError(f"the profile {name!r} is none of {', '.join(PROFILES)}{nearest(name, PROFILES) or '.'}")
    return short


def nearest(text: str, names: Iterable[str]) -> str:
    """The end of a message about a name that is none of these: the one that was probably meant, if any is similar."""
    similar = get_close_matches(text, list(names), 1)
    return f"; did you mean {similar[0]}?" if similar else ""


def rules_of(profile: str) -> Version:
    """The rules of a profile's version. A store alone means v0.3.3. Raises ValueError."""
    version = profile.rpartition("/")[0] or _UNNAMED
    if version not in RULES:
        raise ValueError(f"the profile {profile!r} is of a version that is none of {', '.join(RULES)}")
    return RULES[version]


def profile_name(version: str, store: str) -> str:
    """The name of a profile. v0.3.3 is not named."""
    return store if version == _UNNAMED else f"{version}/{store}"


def fake_profile(version: str, store: str) -> str:
    """The name of what a fake imitates: a store of a version, each as far as it is known."""
    if store == EMBEDDED:
        version = "main"  # no other has it
    return f"{version}/{store}".strip("/")


def profile_of(image: str) -> str:
    """The profile of a store's image, by its name and its tag."""
    return kvrocks_profile(image.rpartition(":")[2]) if "kvrocks" in image else "redis"


def kvrocks_profile(version: str) -> str:
    """The profile of that version of KVRocks. An unknown one counts as the newest."""
    major_and_minor = version.split(".")[:2]
    is_older = all(part.isdigit() for part in major_and_minor) and [*map(int, major_and_minor)] <= [2, 8]
    return "kvrocks-2.8" if is_older else "kvrocks-2.9"

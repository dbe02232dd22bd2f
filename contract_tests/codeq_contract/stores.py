"""The stores that a CodeQ server may use, and when a lease counts as expired on each of them (K8).

This is the one place with these numbers: the driver's time bounds and the checker's laws both follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from codeq_contract.recordings.times import MILLISECOND


@dataclass(frozen=True, slots=True)
class Store:
    """How a store rounds times to live: by how many milliseconds before its end a lease counts as expired.

    A store that `rounds` first rounds the end to a whole second.
    """

    least_early: int
    most_early: int
    rounds: bool = False

    def expired_from(self, claimed: int, seconds: int) -> int:
        """The exact moment from which a lease given exactly at `claimed` counts as expired."""
        remaining = 999 if self.rounds else self.most_early - 1
        return self.gone_from(claimed, seconds) - remaining * MILLISECOND

    def gone_from(self, claimed: int, seconds: int) -> int:
        """The exact moment from which the store has dropped the key of that lease, so that no heartbeat revives it."""
        end = claimed // MILLISECOND + seconds * 1000
        return ((end + 499) // 1000 * 1000 if self.rounds else end) * MILLISECOND


STORES: Mapping[str, Store] = MappingProxyType(
    {
        "redis": Store(500, 500),
        "kvrocks-2.9": Store(1000, 1000),
        "kvrocks-2.8": Store(500, 1500, rounds=True),
        # An unknown store: the bounds of all of them.
        "any": Store(500, 1500),
    }
)

#: The names of the stores whose bounds are known.
PROFILES = tuple(name for name in STORES if name != "any")


def fake_profile(version: str, store: str) -> str:
    """The name of what a fake imitates: a store of a version, each as far as it is known."""
    return f"{version}/{store}".removeprefix("/")


def profile_of(image: str) -> str:
    """The profile of a store's image, by its name and its tag."""
    return kvrocks_profile(image.rpartition(":")[2]) if "kvrocks" in image else "redis"


def kvrocks_profile(version: str) -> str:
    """The profile of that version of KVRocks. An unknown one counts as the newest."""
    major_and_minor = version.split(".")[:2]
    is_older = all(part.isdigit() for part in major_and_minor) and [*map(int, major_and_minor)] <= [2, 8]
    return "kvrocks-2.8" if is_older else "kvrocks-2.9"

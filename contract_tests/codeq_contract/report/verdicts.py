"""The verdicts on cases, the groups of cases, and the situations that a group must have met."""

from __future__ import annotations

from enum import StrEnum

GROUPS = ("core", "timed", "concurrent", "webhooks")


class Verdict(StrEnum):
    """The outcome of a case. ERROR is a fault of the suite itself, KNOWN a failure expected of this target."""

    PASSED = "pass"
    FAILED = "fail"
    ERROR = "error"
    SKIPPED = "skipped"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"
    KNOWN = "known"


class InconclusiveError(Exception):
    """The suite was too slow, so that the reply proves nothing. The text says what came too late."""


class Sighting(StrEnum):
    """A situation that must occur at least once. Without it a level would pass without having checked anything."""

    TAKEOVER = "a takeover after expiry"
    LATE_RESULT = "a late result"
    DEAD_LETTER = "a dead letter"
    KEPT_LEASE = "a heartbeat that kept a lease"
    CONTENDED_CLAIM = "a contended claim"
    CALLBACK_RETRY = "a callback retry"


SIGHTINGS_OF_GROUPS: dict[str, tuple[Sighting, ...]] = {
    "core": (),
    "timed": (Sighting.TAKEOVER, Sighting.LATE_RESULT, Sighting.DEAD_LETTER, Sighting.KEPT_LEASE),
    "concurrent": (Sighting.CONTENDED_CLAIM,),
    "webhooks": (Sighting.CALLBACK_RETRY,),
}

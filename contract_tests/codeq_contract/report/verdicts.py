"""How cases can end, what groups they are in, and what a group must have seen."""

from __future__ import annotations

from enum import StrEnum

GROUPS = ("core", "timed", "concurrent", "webhooks")


class Verdict(StrEnum):
    """How a case ended. ERROR is the suite's own fault, KNOWN a failure that was expected of this target."""

    PASSED = "pass"
    FAILED = "fail"
    ERROR = "error"
    SKIPPED = "skipped"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"
    KNOWN = "known"


class Sighting(StrEnum):
    """What must have happened at least once, lest a level pass without having seen anything."""

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


class InconclusiveError(Exception):
    """The suite's own delay straddled an edge, so that nothing can be said; the text says which."""

"""What a case says of itself: the clauses it checks, its group, what it needs, and what it may leave open."""

from __future__ import annotations

from enum import StrEnum

import pytest

GROUPS = ("core", "timed", "concurrent", "webhooks")

core = pytest.mark.core
timed = pytest.mark.timed
concurrent = pytest.mark.concurrent
webhooks = pytest.mark.webhooks


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


def clause(*ids: str) -> pytest.MarkDecorator:
    """The clauses of the contract that a case checks."""
    return pytest.mark.clause(*ids)


def needs(*features: str) -> pytest.MarkDecorator:
    """What a target must have for the case to say anything of it."""
    return pytest.mark.needs(*features)

"""What a world notes: what happened to its hosts, and the errors that no code has caught. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to a host: when (virtual seconds since the start), which one, what."""

    at: float
    host: str
    text: str


@dataclass(frozen=True, slots=True)
class LostError:
    """What a program of a host raised, and no code has caught."""

    at: float
    host: str
    error: BaseException

"""What a world notes: what happened to its hosts, and the errors that no code has caught. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: What an entry of a story tells of.
Kind = Literal["host", "request", "refusal", "effect", "wrong", "server", "weather"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to a host or by it: when (virtual seconds since the start), which one, what.

    A world notes what happens to hosts, and to requests on their way. A story also has the requests that the server
    has carried out or refused, effects, `wrong` ones without a lease, what the server did by itself, and the weather.
    """

    at: float
    host: str
    text: str
    kind: Kind = "host"


@dataclass(frozen=True, slots=True)
class LostError:
    """What a program of a host raised, and no code has caught."""

    at: float
    host: str
    error: BaseException

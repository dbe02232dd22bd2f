"""The rules of CodeQ as a pure, synchronous state machine: no clock, no network, no chance of its own.

:class:`Broker` is one server's state with a method an operation; the rest is what goes in and comes out. Every instant
is an ``int`` of nanoseconds since the epoch and is passed in.
"""

from __future__ import annotations

from . import effects, errors
from .broker import Broker
from .claimability import Claimable, explain
from .profiles import PROFILES, StoreProfile
from .results import ArtifactUpload, Submission
from .rules import BUILT_IN_COMMANDS, Limit, Rules
from .subscriptions import Subscription
from .task import Artifact, Event, Happening, Location, Nacked, Record, State, Status, Task
from .task_store import QueueStats

__all__ = [
    "BUILT_IN_COMMANDS",
    "PROFILES",
    "Artifact",
    "ArtifactUpload",
    "Broker",
    "Claimable",
    "Event",
    "Happening",
    "Limit",
    "Location",
    "Nacked",
    "QueueStats",
    "Record",
    "Rules",
    "State",
    "Status",
    "StoreProfile",
    "Submission",
    "Subscription",
    "Task",
    "effects",
    "errors",
    "explain",
]

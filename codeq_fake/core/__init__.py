"""The rules of CodeQ as a pure, synchronous state machine, without clock, network or randomness.

`Broker` is the state of one server, with a method for each operation. Every instant is an argument: an `int` of
nanoseconds since the epoch. Ids such as C1 are clauses of the contract, listed in `clause_coverage/clauses.yaml`.
"""

from __future__ import annotations

from . import effects, errors
from .broker import Broker
from .claimability import Claimable, explain
from .commands import BUILT_IN_COMMANDS
from .profiles import PROFILES, Profile, Store, Version, canonical_name
from .rate_limits import RateLimit
from .results import ArtifactUpload, Submission
from .settings import CoreSettings
from .subscriptions import Subscription
from .task import Artifact, HistoryEntry, Location, NackOutcome, Record, State, Status, Task
from .task_store import QueueStats

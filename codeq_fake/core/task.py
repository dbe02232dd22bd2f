"""The task and its life: its states, and the one table that says which event leads from which to which."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(StrEnum):
    """What ``status`` says on the wire (section 4)."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Location(StrEnum):
    """What ``lastKnownLocation`` says on the wire (section 4)."""

    PENDING_LIST = "PENDING_LIST"
    DELAYED_ZSET = "DELAYED_ZSET"
    INPROG_SET = "INPROG_SET"
    DLQ_SET = "DLQ_SET"
    NONE = "NONE"


class State(Enum):
    """Where a task is in its life; the wire shows it as a status and a location."""

    READY = (Status.PENDING, Location.PENDING_LIST)
    DELAYED = (Status.PENDING, Location.DELAYED_ZSET)
    LEASED = (Status.IN_PROGRESS, Location.INPROG_SET)
    LOST = (Status.IN_PROGRESS, Location.INPROG_SET, "in truth in no set")  # Z2
    COMPLETED = (Status.COMPLETED, Location.NONE)
    FAILED = (Status.FAILED, Location.NONE)
    DEAD = (Status.FAILED, Location.DLQ_SET)

    def __init__(self, status: Status, location: Location, _truth: str = "") -> None:
        self.status = status
        self.location = location


class Event(StrEnum):
    """What can happen to a task after it was created."""

    CLAIM = "claimed"  # K5
    COME_DUE = "came due"  # K7
    HEARTBEAT = "heartbeat"  # H1
    ABANDON = "abandoned"  # D1
    NACK = "nacked"  # N3
    NACK_AT_LAST = "nacked for the last time"  # N4
    EXPIRE = "lease expired"  # N5
    EXPIRE_AT_LAST = "lease expired for the last time"  # N5, N4
    COMPLETE = "completed"  # S4
    FAIL = "failed"  # S4
    COPY = "queued a second time"  # Z1
    LOSE = "dropped from the tasks in progress"  # Z2
    REVOKE = "lease revoked"  # Z3
    REVOKE_AT_LAST = "lease revoked for the last time"  # Z3, N4
    REQUEUE = "requeued by hand"  # no part of the contract


#: The whole life of a task. A pair that is not here cannot happen.
TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.READY, Event.CLAIM): State.LEASED,
        (State.DELAYED, Event.COME_DUE): State.READY,
        (State.LEASED, Event.HEARTBEAT): State.LEASED,
        (State.LEASED, Event.ABANDON): State.READY,
        (State.LEASED, Event.NACK): State.DELAYED,
        (State.LEASED, Event.NACK_AT_LAST): State.DEAD,
        (State.LEASED, Event.EXPIRE): State.DELAYED,
        (State.LEASED, Event.EXPIRE_AT_LAST): State.DEAD,
        (State.LEASED, Event.COMPLETE): State.COMPLETED,
        (State.LEASED, Event.FAIL): State.FAILED,
        # One batch of results may name a task twice: each item was checked before the first was stored (S6).
        (State.COMPLETED, Event.COMPLETE): State.COMPLETED,
        (State.COMPLETED, Event.FAIL): State.FAILED,
        (State.FAILED, Event.COMPLETE): State.COMPLETED,
        (State.FAILED, Event.FAIL): State.FAILED,
        # The races, which happen on request alone.
        (State.COMPLETED, Event.COPY): State.COMPLETED,
        (State.COMPLETED, Event.CLAIM): State.LEASED,
        (State.FAILED, Event.COPY): State.FAILED,
        (State.FAILED, Event.CLAIM): State.LEASED,
        (State.LEASED, Event.LOSE): State.LOST,
        (State.LOST, Event.HEARTBEAT): State.LOST,
        (State.LOST, Event.ABANDON): State.READY,
        (State.LOST, Event.NACK): State.DELAYED,
        (State.LOST, Event.NACK_AT_LAST): State.DEAD,
        (State.LOST, Event.COMPLETE): State.COMPLETED,
        (State.LOST, Event.FAIL): State.FAILED,
        (State.LEASED, Event.REVOKE): State.DELAYED,
        (State.LEASED, Event.REVOKE_AT_LAST): State.DEAD,
        # By hand, from wherever it is.
        **{(state, Event.REQUEUE): State.READY for state in State},
    }
)


#: What giving a task back becomes when its attempts are used up (N4).
AT_LAST: Mapping[Event, Event] = MappingProxyType(
    {
        Event.NACK: Event.NACK_AT_LAST,
        Event.EXPIRE: Event.EXPIRE_AT_LAST,
        Event.REVOKE: Event.REVOKE_AT_LAST,
    }
)

#: A task that is heartbeaten for ever forgets the older half of its history, its creation aside.
HISTORY_LIMIT = 1000


class Happening(NamedTuple):
    """One line of a task's history: when (ns), what, by whom (worker or tenant, may be empty), from and to."""

    at: int
    what: str
    by: str
    before: State | None
    after: State


@dataclass(slots=True, eq=False)
class Task:
    """One task as the server stores it (section 4). Only :mod:`codeq_fake.core` changes it.

    ``payload`` is T1 text. Instants are ns since the epoch: ``lease_until`` is what ``leaseUntil`` shows (0: none),
    ``lease_expiry`` when the lease's key is gone from the store (they differ, H3 and K8), ``visible_at`` the due time
    of a delayed task in whole seconds. ``touched_at`` is when the retention clock last started (M3).
    """

    id: str
    command: str
    payload: str
    tenant: str
    priority: int
    max_attempts: int
    created_at: int
    updated_at: int
    touched_at: int
    state: State
    webhook: str = ""
    trace_parent: str = ""
    trace_state: str = ""
    worker: str = ""
    lease_until: int = 0
    lease_expiry: int = 0
    visible_at: int = 0
    attempts: int = 0
    error: str = ""
    record: Record | None = None
    history: list[Happening] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """The status on the wire."""
        return self.state.status

    @property
    def location(self) -> Location:
        """The location on the wire."""
        return self.state.location

    @property
    def has_result(self) -> bool:
        """Whether a result is stored: ``resultKey`` is shown (T2)."""
        return self.record is not None

    def happens(self, event: Event, *, by: str, now: int) -> None:
        """Go to the state that the table has for ``event``; the one place where a task's state changes.

        Raises ``KeyError`` where the table has none: the caller has let an impossible event through.
        """
        before = self.state
        self.state = after = TRANSITIONS[before, event]
        self.updated_at = now
        if len(self.history) >= HISTORY_LIMIT:
            del self.history[1 : HISTORY_LIMIT // 2]
        self.history.append(Happening(now, event.value, by, before, after))

    def let_go(self) -> None:
        """Clear the worker and its lease."""
        self.worker = ""
        self.lease_until = 0
        self.lease_expiry = 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that belongs to a result (S5)."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Record:
    """A stored result (S2). ``result`` is the T1 text of a JSON object, or None; ``completed_at`` is ns."""

    task_id: str
    status: str
    result: str | None
    error: str
    artifacts: tuple[Artifact, ...]
    completed_at: int


@dataclass(frozen=True, slots=True)
class Nacked:
    """What a NACK did: ``dead`` when the task is in the dead letter queue, else it waits ``delay_seconds``."""

    dead: bool
    delay_seconds: int

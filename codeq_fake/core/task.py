"""The task, its states, and the table of transitions: which event leads from which state to which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from .frozen_items import UNWATCHED, Watch


class Status(StrEnum):
    """The values of `status` in JSON."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Location(StrEnum):
    """The values of `lastKnownLocation` in JSON."""

    PENDING_LIST = "PENDING_LIST"
    DELAYED_ZSET = "DELAYED_ZSET"
    INPROG_SET = "INPROG_SET"
    DLQ_SET = "DLQ_SET"
    NONE = "NONE"


class State(Enum):
    """The states of a task. The wire shows each as a status and a location."""

    READY = (Status.PENDING, Location.PENDING_LIST)
    DELAYED = (Status.PENDING, Location.DELAYED_ZSET)
    LEASED = (Status.IN_PROGRESS, Location.INPROG_SET)
    LOST = (Status.IN_PROGRESS, Location.INPROG_SET, "but in no set")  # Z2
    UNLEASED = (Status.IN_PROGRESS, Location.INPROG_SET, "but in its pending list")  # K11
    COMPLETED = (Status.COMPLETED, Location.NONE)
    FAILED = (Status.FAILED, Location.NONE)
    DEAD = (Status.FAILED, Location.DLQ_SET)

    #: Of the member, of which there is only one. Enum's own method is in Python, and slow: each transition needs it.
    __hash__ = object.__hash__

    def __init__(self, status: Status, location: Location, _note: str = "") -> None:
        self.status = status
        self.location = location


#: The states in which nothing more happens to a task by itself.
ENDED = (State.COMPLETED, State.FAILED, State.DEAD)

#: The first entry of each history.
CREATED = "created"


class Event(StrEnum):
    """The events in the life of a task after its creation. The values are the words of its history."""

    CLAIM = "claimed"  # K5
    REFUSE_LEASE = "claimed, but its lease was refused"  # K11
    COME_DUE = "came due"  # K7
    HEARTBEAT = "heartbeat"  # H1
    ABANDON = "abandoned"  # D1
    NACK = "nacked"  # N3
    LAST_NACK = "nacked for the last time"  # N4
    EXPIRE = "lease expired"  # N5
    LAST_EXPIRE = "lease expired for the last time"  # N5, N4
    REAP = "lease ended by the reaper"  # P1
    LAST_REAP = "lease ended by the reaper for the last time"  # P1, P5
    COMPLETE = "completed"  # S4
    FAIL = "failed"  # S4
    COPY = "queued a second time"  # Z1
    LOSE = "dropped from the tasks in progress"  # Z2
    REVOKE = "lease revoked"  # Z3
    LAST_REVOKE = "lease revoked for the last time"  # Z3, N4
    REQUEUE = "requeued by hand"  # a manual operation


#: All transitions. A pair that is not listed cannot occur.
TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.READY, Event.CLAIM): State.LEASED,
        (State.DELAYED, Event.COME_DUE): State.READY,
        (State.LEASED, Event.HEARTBEAT): State.LEASED,
        (State.LEASED, Event.ABANDON): State.READY,
        (State.LEASED, Event.NACK): State.DELAYED,
        (State.LEASED, Event.LAST_NACK): State.DEAD,
        (State.LEASED, Event.EXPIRE): State.DELAYED,
        (State.LEASED, Event.LAST_EXPIRE): State.DEAD,
        (State.LEASED, Event.REAP): State.DELAYED,
        (State.LEASED, Event.LAST_REAP): State.DEAD,
        (State.LEASED, Event.COMPLETE): State.COMPLETED,
        (State.LEASED, Event.FAIL): State.FAILED,
        # The store refused the lease: all but the lists of ids is as after a claim.
        (State.READY, Event.REFUSE_LEASE): State.UNLEASED,
        (State.UNLEASED, Event.REFUSE_LEASE): State.UNLEASED,
        (State.UNLEASED, Event.CLAIM): State.LEASED,
        (State.UNLEASED, Event.HEARTBEAT): State.UNLEASED,
        (State.UNLEASED, Event.ABANDON): State.READY,
        (State.UNLEASED, Event.NACK): State.DELAYED,
        (State.UNLEASED, Event.LAST_NACK): State.DEAD,
        (State.UNLEASED, Event.COMPLETE): State.COMPLETED,
        (State.UNLEASED, Event.FAIL): State.FAILED,
        # A batch of results can name a task twice: all items are checked before the first is stored (S6).
        (State.COMPLETED, Event.COMPLETE): State.COMPLETED,
        (State.COMPLETED, Event.FAIL): State.FAILED,
        (State.FAILED, Event.COMPLETE): State.COMPLETED,
        (State.FAILED, Event.FAIL): State.FAILED,
        # Races, which occur only on request.
        (State.COMPLETED, Event.COPY): State.COMPLETED,
        (State.COMPLETED, Event.CLAIM): State.LEASED,
        (State.FAILED, Event.COPY): State.FAILED,
        (State.FAILED, Event.CLAIM): State.LEASED,
        (State.COMPLETED, Event.REFUSE_LEASE): State.UNLEASED,
        (State.FAILED, Event.REFUSE_LEASE): State.UNLEASED,
        (State.LEASED, Event.LOSE): State.LOST,
        # This heartbeat read the task before its end, and writes it as it was.
        (State.COMPLETED, Event.HEARTBEAT): State.LOST,
        (State.FAILED, Event.HEARTBEAT): State.LOST,
        (State.LOST, Event.HEARTBEAT): State.LOST,
        (State.LOST, Event.ABANDON): State.READY,
        (State.LOST, Event.NACK): State.DELAYED,
        (State.LOST, Event.LAST_NACK): State.DEAD,
        (State.LOST, Event.COMPLETE): State.COMPLETED,
        (State.LOST, Event.FAIL): State.FAILED,
        (State.LEASED, Event.REVOKE): State.DELAYED,
        (State.LEASED, Event.LAST_REVOKE): State.DEAD,
        # Manual operations.
        **{(state, Event.REQUEUE): State.READY for state in State},
    }
)

#: The event that replaces each of these when the attempts are used up (N4).
LAST_ATTEMPT: Mapping[Event, Event] = MappingProxyType(
    {
        Event.NACK: Event.LAST_NACK,
        Event.EXPIRE: Event.LAST_EXPIRE,
        Event.REAP: Event.LAST_REAP,
        Event.REVOKE: Event.LAST_REVOKE,
    }
)

#: At this length a history loses its older half, except for the creation. Heartbeats can go on for ever.
HISTORY_LIMIT = 1000


class HistoryEntry(NamedTuple):
    """One event of a task's history: the instant (ns), the event, the worker or tenant if any, and both states."""

    at: int
    what: str
    by: str
    before: State | None
    after: State


@dataclass(slots=True, eq=False)
class Task:
    """A task as the server stores it. Only the core changes it, and calls `begin_change` before each change.

    `payload` is compact JSON text (T1). Instants are in ns since the epoch. `lease_until` is the value of `leaseUntil`
    (0: none). `lease_expiry` is the instant from which the store no longer has the lease's key: the store rounds it,
    and a heartbeat that comes after it moves only `lease_until` (H3, K8). `visible_at` is the due time of a delayed
    task in whole seconds. `touched_at` is when the retention time last started (M3).
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
    webhook: str = ""
    trace_parent: str = ""
    trace_state: str = ""
    worker: str = ""
    lease_until: int = 0
    lease_expiry: int = 0
    visible_at: int = 0
    attempts: int = 0
    error: str = ""
    state: State = field(kw_only=True)  # here, since a saved state has the fields in this order
    record: Record | None = None
    #: None while nothing has happened but its creation: most of many tasks wait. Read `history`, which has always all.
    _history: list[HistoryEntry] | None = None
    #: The number of its part in the pending list of its queue, which sets it; None if it is in none.
    place: int | None = field(default=None, init=False, repr=False)
    #: The number of its part among all tasks of its store, which sets it.
    number: int = field(default=0, init=False, repr=False)
    #: Tells a reader that still needs the task as it is now.
    watch: Watch = field(default=UNWATCHED, init=False, repr=False)
    #: See `frozen_items`: the latest reading that does not need it any more.
    shown_in: int = field(default=0, init=False, repr=False)

    def __copy__(self) -> Task:
        """The task as it is now. `copy` itself would take three times as long: each task of a batch is copied."""
        return Task(*_positional(self), state=self.state)

    @property
    def status(self) -> Status:
        """The status on the wire."""
        return self.state.status

    @property
    def location(self) -> Location:
        """The location on the wire."""
        return self.state.location

    @property
    def history(self) -> list[HistoryEntry]:
        """All that has happened to it, from its creation on."""
        if self._history is None:
            return [HistoryEntry(self.created_at, CREATED, self.tenant, None, self.state)]
        return self._history

    @property
    def state_since(self) -> int:
        """The instant (ns) at which the task came into its state."""
        for entry in reversed(self._history or ()):  # in half the time of a `next`: lists ask it of each task
            if entry.before is not entry.after:
                return entry.at
        return self.created_at

    def begin_change(self) -> None:
        """Let a reader take what it still needs of the task. `apply` calls it, and so does what changes no state."""
        self.watch.tell(self)

    def apply(self, event: Event, *, by: str, now: int) -> None:
        """Change the state as the table says. Nothing else changes a task's state.

        To be called before any other change that the event makes, since a reader may still need the task as it was.
        The end of a lease by hand is not an event: `manual_operations.expire_lease` changes the task without one.
        Raises `KeyError` if the table does not list the event for this state, which is an error of the caller.
        """
        self.begin_change()
        before = self.state
        after = TRANSITIONS[before, event]
        self.note(HistoryEntry(now, event.value, by, before, after))
        self.state = after
        self.updated_at = now

    def note(self, entry: HistoryEntry) -> None:
        """Add to the history, before the state changes: the entry of the creation, made here, has the state so far."""
        history = self._history = self.history
        if len(history) >= HISTORY_LIMIT:
            del history[1 : HISTORY_LIMIT // 2]
        history.append(entry)

    def clear_lease(self) -> None:
        """Clear the worker and its lease."""
        self.worker = ""
        self.lease_until = 0
        self.lease_expiry = 0


_positional = attrgetter(*(each.name for each in fields(Task) if each.init and not each.kw_only))


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that belongs to a result (S5)."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Record:
    """A stored result (S2). `result` is a JSON object as compact text (T1) or None, `completed_at` is in ns."""

    task_id: str
    status: str
    result: str | None
    error: str
    artifacts: tuple[Artifact, ...]
    completed_at: int


class NackOutcome(NamedTuple):
    """The outcome of a NACK: the task is in the dead letter queue (`dead`), or waits for `delay_seconds`."""

    dead: bool
    delay_seconds: int

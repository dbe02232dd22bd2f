"""A recording as the laws see it: the history of every task, the queues, and what is unknown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product
from operator import attrgetter
from typing import Any, TypeVar

from codeq_contract.recordings.format import Call, Callback, Header

from .events import (
    FOREVER,
    Abandon,
    CallbackReceived,
    Claim,
    Cleanup,
    Created,
    Delivery,
    Event,
    Heartbeat,
    Lost,
    Missing,
    Nack,
    Read,
    Result,
    ResultMissing,
    ResultRead,
    Sizes,
    TaskEvent,
    queue_name,
)
from .queues import AnsweredClaims, Queue
from .reading import EventReader
from .settings import Settings
from .task_histories import Lease, TaskHistory, ends_in, leases_of
from .waiting_periods import WaitingPeriod, WaitingPeriods

E = TypeVar("E", bound=Event)

QueueKey = tuple[str, str]
"""A tenant and a command in lower case."""


@dataclass(frozen=True)
class History:
    """Everything known about a server between two moments.

    A history counts as complete: no one else called the server or used its store. `calls` and `callbacks` are their
    numbers. `lost` are the calls without a reply. From `deleted_from` on tasks may have been deleted, by a clean-up or
    since their life was over. `end` is the last moment. In a history that was not `drained`, a task that no claim got
    may still have been waiting for one.
    """

    settings: Settings
    calls: int
    callbacks: int
    tasks: Mapping[str, TaskHistory]
    claims: tuple[Claim, ...]
    queues: Mapping[QueueKey, Queue]
    sizes: tuple[Sizes, ...]
    lost: tuple[Lost, ...]
    deleted_from: int
    end: int
    drained: bool

    @classmethod
    def of(cls, header: Header, entries: Iterable[Call | Callback]) -> History:
        """The history in the entries of a recording. Raises RecordingError if a call makes no sense."""
        settings = Settings.of(header)
        reader = EventReader(header, settings)
        events = [event for entry in entries for event in reader.events_of(entry)]
        events.sort(key=attrgetter("sent"))
        lost = _only(Lost, events)
        tasks = _tasks(events, settings)
        return cls(
            settings=settings,
            calls=reader.calls,
            callbacks=reader.callbacks,
            tasks=tasks,
            claims=_only(Claim, events),
            # Each lost call may have left one more task for the repair to look at.
            queues=_queues(events, tasks.values(), settings, max(0, settings.inspect_limit - len(lost))),
            sizes=_only(Sizes, events),
            lost=lost,
            deleted_from=_deleted_from(events, settings),
            end=reader.end,
            drained=header.drained,
        )

    @cached_property
    def waiting_periods(self) -> Mapping[QueueKey, tuple[WaitingPeriod, ...]]:
        """For each queue the waiting periods of its tasks."""
        return {
            key: tuple(
                period
                for task in queue.tasks
                for period in WaitingPeriods(task, queue, self.settings, self.deleted_from)
            )
            for key, queue in self.queues.items()
        }

    def taken_from(self, lease: Lease) -> int:
        """The earliest moment at which a known claim, or the reaper, can have taken an expired lease away (K7, P1)."""
        if self.settings.has_reaper:
            return lease.earliest_end
        tenant, name = lease.delivery.task.queue
        end = lease.earliest_end
        reaching = product((None, tenant), (None, name))
        repairs = (self._claims_by_reach[key].first_sent_after(end) for key in reaching if key in self._claims_by_reach)
        return max(end, min(repairs, default=FOREVER))

    @cached_property
    def _claims_by_reach(self) -> Mapping[tuple[str | None, str | None], AnsweredClaims]:
        """The claims by the tenant and by a queue that they may have looked into. None stands for any."""
        claims: defaultdict[tuple[str | None, str | None], list[Claim]] = defaultdict(list)
        for claim in self.claims:
            for name in (None,) if claim.queues is None else dict.fromkeys(claim.queues):
                claims[claim.tenant, name].append(claim)
        return {key: AnsweredClaims(mine) for key, mine in claims.items()}

    def repair_of(self, task: TaskHistory, lease: Lease) -> Claim | None:
        """The first claim that must have found the lease expired, unless it was settled, and requeued the task (K7)."""
        snapshot = task.task or lease.delivery.task
        return self.queues[snapshot.queue].repair_of(lease)

    def home_of(self, task: TaskHistory) -> Queue | None:
        """The queue in which the task belongs, whatever tenant it shows: that of its creator (C2). None if unknown."""
        key = _home(task, self.settings)
        return None if key is None else self.queues[key]


def _tasks(events: Iterable[Event], settings: Settings) -> Mapping[str, TaskHistory]:
    by_id: defaultdict[str, list[TaskEvent]] = defaultdict(list)
    for event in events:
        if isinstance(event, TaskEvent):
            by_id[event.task_id].append(event)
    return {task_id: _task(task_id, mine, settings) for task_id, mine in by_id.items()}


#: The part of a task's history that an event belongs to.
_PARTS: Mapping[type[TaskEvent], str] = {
    Created: "creates",
    Delivery: "deliveries",
    **dict.fromkeys((Heartbeat, Abandon, Nack, Result), "operations"),
    **dict.fromkeys((Read, ResultRead), "reads"),
    Missing: "missing",
    ResultMissing: "results_missing",
    CallbackReceived: "callbacks",
}


def _task(task_id: str, events: Iterable[TaskEvent], settings: Settings) -> TaskHistory:
    """The history of one task, from all events about it."""
    parts: defaultdict[str, list[Any]] = defaultdict(list)
    for event in events:
        parts[_PARTS[type(event)]].append(event)
    return TaskHistory(
        id=task_id,
        creates=tuple(parts["creates"]),
        leases=leases_of(parts["deliveries"], parts["operations"], settings),
        operations=tuple(parts["operations"]),
        reads=tuple(parts["reads"]),
        missing=tuple(parts["missing"]),
        results_missing=tuple(parts["results_missing"]),
        callbacks=tuple(parts["callbacks"]),
        ends=ends_in(parts["operations"], (*parts["creates"], *parts["reads"])),
    )


def _deleted_from(events: Sequence[Event], settings: Settings) -> int:
    """The first moment at which tasks may be gone (M3, P8)."""
    cleanups = (cleanup.sent for cleanup in _only(Cleanup, events))
    lives = (event.sent + settings.task_life for event in events[:1] if settings.task_life)
    return min(chain(cleanups, lives), default=FOREVER)


def _only(kind: type[E], events: Iterable[Event]) -> tuple[E, ...]:
    return tuple(event for event in events if isinstance(event, kind))


def _home(task: TaskHistory, settings: Settings) -> QueueKey | None:
    caller = None if task.certain_creator is None else settings.callers.get(task.certain_creator.caller)
    return None if caller is None or task.task is None else (caller.tenant, task.task.queue[1])


def _queues(
    events: Iterable[Event], tasks: Iterable[TaskHistory], settings: Settings, limit: int
) -> Mapping[QueueKey, Queue]:
    """Each queue with its tasks, and with the claims that looked into it."""
    claims: defaultdict[QueueKey, list[Claim]] = defaultdict(list)
    residents: defaultdict[QueueKey, list[TaskHistory]] = defaultdict(list)
    for claim in _only(Claim, events):
        if claim.tenant is not None:
            for name in _reached(claim):
                claims[claim.tenant, name].append(claim)
    for task in tasks:
        if task.task is not None:
            residents[task.task.queue].append(task)
        home = _home(task, settings)
        if home is not None:
            residents[home] += ()  # known, even if all its tasks show another tenant
    return {
        (tenant, name): Queue(tenant, name, tuple(claims[tenant, name]), tuple(inside), limit, settings)
        for (tenant, name), inside in residents.items()
    }


def _reached(claim: Claim) -> Iterator[str]:
    """The queues that a claim has certainly looked at: in its order, up to the last that gave a task (K4)."""
    giving = {queue_name(task.command) for task in claim.tasks}
    if claim.queues is None:
        yield from giving
        return
    for name in dict.fromkeys(claim.queues):
        yield name
        giving.discard(name)
        if claim.tasks and not giving:
            return

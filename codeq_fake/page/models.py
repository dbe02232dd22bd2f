"""What the page shows, as values: read off a fake at one instant, no more of it than a page has room for."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from codeq_fake import wire
from codeq_fake.core import State
from codeq_fake.core.names import queue_name

from .words import STATES, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from codeq_fake.control import Controls
    from codeq_fake.core import Broker, Task
    from codeq_fake.runtime import Runtime

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Line:
    """A task in a list. ``ends`` (ns) is when its lease counts as over, or when its delay is."""

    id: str
    command: str
    tenant: str
    state: str
    priority: int
    attempts: int
    max_attempts: int
    worker: str
    created_at: int
    ends: int | None
    error: str
    payload: str

    @classmethod
    def of(cls, task: Task, broker: Broker) -> Line:
        """The line of one task."""
        ends = None
        if task.state is State.LEASED:
            ends = broker.profile.spent_from(task.lease_expiry)
        elif task.state is State.DELAYED:
            ends = task.visible_at
        return cls(
            id=task.id,
            command=task.command,
            tenant=task.tenant,
            state=STATES[task.state],
            priority=task.priority,
            attempts=task.attempts,
            max_attempts=task.max_attempts,
            worker=task.worker,
            created_at=task.created_at,
            ends=ends,
            error=short(task.error),
            payload=short(wire.unescape_html(task.payload[:400]), 160),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """What comes next by itself: ``what`` happens at ``at`` (ns)."""

    at: int
    what: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole fake at a glance."""

    queues: Sequence[dict[str, Any]]
    more_queues: int
    totals: dict[str, int]
    tasks: int
    ended: int
    parked: int
    leases: Sequence[Line]
    delays: Sequence[Line]
    dead: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of the list of tasks; an empty field asks nothing."""

    text: str = ""
    state: str = ""
    command: str = ""
    tenant: str = ""

    def finds(self, task: Task) -> bool:
        """Whether a task is asked for."""
        return (
            (not self.state or STATES[task.state] == self.state)
            and (not self.command or queue_name(task.command) == queue_name(self.command))
            and (not self.tenant or task.tenant == self.tenant)
            and (not self.text or self._has_text(task))
        )

    def _has_text(self, task: Task) -> bool:
        text = self.text.lower()
        return text in task.id.lower() or text in task.command.lower() or text in task.payload.lower()


@dataclass(frozen=True, slots=True)
class Sheet(Generic[ItemT]):
    """One page of a long list; ``number`` counts from 1."""

    items: Sequence[ItemT]
    number: int
    total: int
    size: int

    @property
    def first(self) -> int:
        """The number of its first item in the whole list."""
        return (self.number - 1) * self.size + 1

    @property
    def has_next(self) -> bool:
        """Whether the list goes on."""
        return self.number * self.size < self.total


def sheet(found: Iterable[ItemT], number: int, *, size: int, total: int | None = None) -> Sheet[ItemT]:
    """Sheet ``number`` of what was found; ``total`` spares counting it."""
    start = (number - 1) * size
    if total is not None:
        return Sheet(list(islice(found, start, start + size)), number, total, size)
    kept: list[ItemT] = []
    counted = 0
    for item in found:
        if start <= counted < start + size:
            kept.append(item)
        counted += 1
    return Sheet(kept, number, counted, size)


def tasks(runtime: Runtime, search: Search, number: int, *, size: int) -> Sheet[Line]:
    """The tasks that are asked for, the latest first."""
    broker = runtime.broker
    known = broker.store.tasks
    if search == Search():
        found = sheet(reversed(known.values()), number, size=size, total=len(known))
    else:
        found = sheet((task for task in reversed(known.values()) if search.finds(task)), number, size=size)
    return Sheet([Line.of(task, broker) for task in found.items], number, found.total, size)


def overview(runtime: Runtime, controls: Controls, *, most: int) -> Overview:
    """The fake at a glance, at most ``most`` of everything."""
    broker = runtime.broker
    known = controls.queues()
    queues = known["queues"]
    totals = {part: sum(queue[part] for queue in queues) for part in ("ready", "delayed", "inProgress", "dlq")}
    count = len(broker.store.tasks)
    return Overview(
        queues=queues[:most],
        more_queues=max(0, len(queues) - most),
        totals=totals,
        tasks=count,
        ended=count - sum(totals.values()),
        parked=known["parkedClaims"],
        leases=[Line.of(task, broker) for task in islice(_leases(broker), most)],
        delays=[Line.of(task, broker) for task in islice(_delays(broker), most)],
        dead=[Line.of(task, broker) for task in islice(_dead(broker), most)],
    )


def next_event(runtime: Runtime) -> Event | None:
    """What time will bring next: a lease that counts as over, a task that comes due, a callback that is tried again."""
    broker, now = runtime.broker, runtime.clock.now()
    spent_from = broker.profile.spent_from
    lease = next((task for task in _leases(broker) if spent_from(task.lease_expiry) > now), None)
    delay = next((task for task in _delays(broker) if task.visible_at > now), None)
    retry = broker.outbox.next_due()
    events = [
        Event(spent_from(lease.lease_expiry), "a lease is over") if lease is not None else None,
        Event(delay.visible_at, "a delayed task comes due") if delay is not None else None,
        Event(retry, "a callback is tried again") if retry is not None and retry > now else None,
    ]
    return min((event for event in events if event is not None), key=lambda event: event.at, default=None)


def _leases(broker: Broker) -> Iterator[Task]:
    queues = (queue.leases() for queue in broker.store.queues.values() if queue.in_progress)
    return merge(*queues, key=lambda task: task.lease_expiry)


def _delays(broker: Broker) -> Iterator[Task]:
    queues = (queue.delays() for queue in broker.store.queues.values() if queue.delayed)
    return merge(*queues, key=lambda task: task.visible_at)


def _dead(broker: Broker) -> Iterator[Task]:
    """The dead letters of each queue, its latest first."""
    for queue in broker.store.queues.values():
        yield from reversed(queue.dead.values())

"""The data of the page: read from a fake at one instant, at most as much as a page has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import merge, nsmallest
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

from codeq_fake import wire
from codeq_fake.control import representations
from codeq_fake.core import Broker, State, Task
from codeq_fake.core.due_heap import DueHeap
from codeq_fake.core.queue import Queue
from codeq_fake.core.slices import Slices, batches
from codeq_fake.runtime.fake_server import FakeServer

from .rendering import STATES, short

#: Constants, since Python 3.11 takes longer to look a member up than for all the rest.
_LEASED, _DELAYED = State.LEASED, State.DELAYED

#: One of the heaps of a queue: its leases, or its delayed tasks.
Waiting: TypeAlias = Callable[[Queue], DueHeap]
#: When the wait of a task in such a heap ends (ns).
End: TypeAlias = Callable[[Task], int]

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in a list, in its state `since` (ns). At `ends` (ns) its lease counts as expired, or its delay ends."""

    task: Task
    state: str
    since: int
    ends: int | None
    error: str
    payload: str

    @classmethod
    def of(cls, task: Task, broker: Broker) -> TaskRow:
        """The row of one task."""
        payload = short(wire.callback_text(task.payload[:400]), 160)
        ends = end_of_wait(task, broker)
        return cls(task, STATES[task.state], task.state_since, ends, short(task.error), payload)


@dataclass(frozen=True, slots=True)
class Event:
    """The next thing to happen without a request: `what` happens at `at` (ns)."""

    at: int
    what: str


@dataclass(frozen=True, slots=True)
class Sheet(Generic[ItemT]):
    """One part of a long list; `number` counts from 1."""

    items: Sequence[ItemT]
    number: int
    total: int
    size: int

    @property
    def first(self) -> int:
        """The position of its first item in the whole list."""
        return (self.number - 1) * self.size + 1

    @property
    def has_next(self) -> bool:
        """Whether the list goes on."""
        return self.number * self.size < self.total


def sheet(items: Iterable[ItemT], number: int, *, size: int, total: int | None = None) -> Sheet[ItemT]:
    """Sheet `number` of `items`; without `total` all are counted."""
    start = (number - 1) * size
    if total is not None:
        # `islice` refuses a start that is too large for the machine, and a sheet beyond the end is empty anyway.
        on_sheet = islice(items, start, start + size) if start < total else ()
        return Sheet(list(on_sheet), number, total, size)
    kept: list[ItemT] = []
    counted = 0
    for item in items:
        if start <= counted < start + size:
            kept.append(item)
        counted += 1
    return Sheet(kept, number, counted, size)


def end_of_wait(task: Task, broker: Broker) -> int | None:
    """When a task's lease counts as expired, or its delay ends (ns); None for a task that has neither."""
    if task.state is _LEASED:
        return broker.profile.store.lease_expired_from(task.lease_expiry)
    return task.visible_at if task.state is _DELAYED else None


def overview(runtime: FakeServer, *, most: int) -> Slices[dict[str, Any]]:
    """An overview of the fake, with at most `most` items of each kind."""
    broker = runtime.broker
    store = broker.store
    totals = yield from store.totals()
    in_queues = totals.ready + totals.delayed + totals.in_progress + totals.dead
    first = yield from first_keys(broker, most)
    spelled = yield from representations.spelled_commands(broker)
    leases = yield from _soonest(broker, _leases, _lease_expiry, most)
    delays = yield from _soonest(broker, _delays, _visible_at, most)
    dead = yield from _dead(broker, most)
    return {
        "queues": [representations.queue(broker, key, spelled) for key in first],
        "more_queues": max(0, len(store.queues) - most),
        "totals": totals,
        "ended": max(0, len(store.tasks) - in_queues),
        "parked": runtime.waiters.parked,
        "leases": [TaskRow.of(task, broker) for task in leases],
        "delays": [TaskRow.of(task, broker) for task in delays],
        "dead": [TaskRow.of(task, broker) for task in dead],
    }


def next_event(runtime: FakeServer) -> Slices[Event | None]:
    """The next event: a lease expires, a delayed task comes due, or a callback is tried again."""
    broker, now = runtime.broker, runtime.clock.now()

    def lease_end(task: Task) -> int:
        return broker.profile.store.lease_expired_from(task.lease_expiry)

    ahead = {
        "a lease is over": (yield from _first_after(now, broker, _leases, lease_end)),
        "a delayed task comes due": (yield from _first_after(now, broker, _delays, _visible_at)),
        "a callback is tried again": broker.callbacks.next_due(),
    }
    events = (Event(at, what) for what, at in ahead.items() if at is not None and at > now)
    return min(events, key=lambda event: event.at, default=None)


def next_tries(runtime: FakeServer) -> dict[int, int]:
    """Number of a pending callback in the journal -> the time of its next try (ns)."""
    waiting = runtime.broker.callbacks.deliveries
    return {
        entry.n: waiting[delivery_id].due_at
        for delivery_id, entry in runtime.deliveries.pending.items()
        if delivery_id in waiting and waiting[delivery_id].due_at
    }


_leases = attrgetter("leases")
_delays = attrgetter("delays")
_lease_expiry = attrgetter("lease_expiry")
_visible_at = attrgetter("visible_at")


def first_keys(broker: Broker, most: int) -> Slices[list[tuple[str, str]]]:
    """The first queues in the order of their tenants and names."""
    first: list[tuple[str, str]] = []
    for keys in batches(list(broker.store.queues)):
        first = nsmallest(most, (*first, *keys))
        yield
    return first


def _soonest(broker: Broker, waiting: Waiting, end: End, most: int) -> Slices[list[Task]]:
    """Of the tasks that wait in all queues, those whose wait ends first."""
    queues = broker.store.queues
    nearest: list[tuple[int, tuple[str, str]]] = []
    for keys in batches(list(queues)):
        firsts = ((end(task), key) for key in keys if (task := next(waiting(queues[key]).in_order(), None)) is not None)
        nearest = nsmallest(most, (*nearest, *firsts))
        yield
    return list(islice(merge(*(waiting(queues[key]).in_order() for _, key in nearest), key=end), most))


def _dead(broker: Broker, most: int) -> Slices[list[Task]]:
    """Some dead letters, the latest of a queue first."""
    letters: list[Task] = []
    for queues in batches(list(broker.store.queues.values())):
        dead = (task for queue in queues for task in reversed(queue.dead.values()))
        letters += islice(dead, most - len(letters))
        yield
    return letters


def _first_after(now: int, broker: Broker, waiting: Waiting, end: End) -> Slices[int | None]:
    """The end of the first wait that ends in the future."""
    first: int | None = None
    for queue in list(broker.store.queues.values()):
        yield from waiting(queue).tidied()  # else each walk would pass over outdated entries
        for task in waiting(queue).in_order():
            at = end(task)
            if at > now:
                first = at if first is None else min(at, first)
                break
            yield  # of what has ended there may be a lot
        yield
    return first

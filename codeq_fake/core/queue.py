"""A queue: the tasks of one command and tenant, grouped by location. Each step takes O(log n) at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappush
from itertools import chain
from operator import attrgetter

from .due_heap import DueHeap
from .frozen_items import UNWATCHED, Watch
from .pending_list import PendingList
from .profiles import Store
from .slices import Slices, emptied
from .task import Task
from .times import floor_to_second

PRIORITIES = 10

_lease_expiry = attrgetter("lease_expiry")
_visible_at = attrgetter("visible_at")


@dataclass(slots=True)
class Leftovers:
    """The ids of tasks that a clean-up has deleted and left in their queue, by place (P8).

    Those of pending tasks stay in the pending lists. A queue counts all as its own until a claim finds them; those of
    dead letters stay.
    """

    #: With the due time (ns) of the task.
    delayed: set[tuple[int, str]] = field(default_factory=set)
    in_progress: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    def drop_due(self, now: int) -> int:
        """Drop the delayed ones that are due. Returns their number."""
        due = {entry for entry in self.delayed if entry[0] <= now}
        self.delayed -= due
        return len(due)


class Queue:
    """The pending lists by priority, the delayed set, the tasks in progress and the dead letters.

    A queue knows only where a task is. The broker knows states and rules.
    """

    __slots__ = (
        "_on_change",
        "_store",
        "_watch",
        "dead",
        "delayed",
        "delays",
        "in_progress",
        "leases",
        "leftovers",
        "pending",
        "shown_in",
        "unseen_delays",
    )

    def __init__(self, store: Store, on_change: Callable[[], None] | None = None, watch: Watch = UNWATCHED) -> None:
        self._store = store
        #: Tells a reader that still needs the pending lists as they are now.
        self._watch = watch
        #: See `frozen_items`: the latest reading that does not need it any more.
        self.shown_in = watch.reading
        #: Called after each change by which a claim could find more than before.
        self._on_change = on_change
        #: Priority -> its pending list, the highest first. Created on first use: a server with many commands has many
        #: queues, and most of them use one priority.
        self.pending: dict[int, PendingList] = {}
        self.delayed: dict[str, Task] = {}
        self.in_progress: dict[str, Task] = {}
        self.dead: dict[str, Task] = {}
        #: How many more delayed tasks there are than the server counts (P6); negative if it counts more (P8).
        self.unseen_delays = 0
        self.leftovers: Leftovers | None = None
        self.delays = DueHeap(self.delayed, _visible_at)
        self.leases = DueHeap(self.in_progress, _lease_expiry)

    def put(self, task: Task) -> bool:
        """Append to the pending list of its priority. Returns whether that list was empty (U3)."""
        self._watch.tell(self)
        ready = self.pending.get(task.priority)
        if ready is None:
            ready = self.add_list(task.priority)
        ready.append(task)
        if self._on_change is not None:
            self._on_change()
        return len(ready) == 1

    def add_list(self, priority: int) -> PendingList:
        """Add the pending list of a priority, which must have none."""
        added = self.pending[priority] = PendingList()
        if len(self.pending) > 1:
            self.pending = dict(sorted(self.pending.items(), reverse=True))
        return added

    def take(self) -> Task | None:
        """Remove and return the next task: priority 9 first, first in first out within a priority (K4).

        An id without a task is dropped. Then the server goes on with the next priority, even if this one has tasks.
        """
        self._watch.tell(self)
        for ready in self.pending.values():
            if ready:
                task = ready.pop()
                if task is not None:
                    return task
        return None

    def insert_duplicate_id(self) -> bool:
        """Put a duplicate id at the head of the highest non-empty priority (Z4). Returns whether there is one.

        The next `take` drops it and skips that priority.
        """
        self._watch.tell(self)
        for ready in self.pending.values():
            if ready:
                ready.insert_duplicate()
                return True
        return False

    def remove_duplicate_id(self) -> bool:
        """Remove what `insert_duplicate_id` put in. Returns whether it was still there."""
        self._watch.tell(self)
        removed = [ready.remove_duplicate() for ready in self.pending.values()]
        return any(removed)

    def delay(self, task: Task) -> None:
        """Add a task that is delayed until `task.visible_at`."""
        self.delayed[task.id] = task
        heappush(self.delays.entries, (task.visible_at, task.id))
        if self._on_change is not None:
            self._on_change()

    @property
    def hides_delays(self) -> bool:
        """Whether the server counts no delayed tasks, so that claims look for none (P6)."""
        return len(self.delayed) == self.unseen_delays

    def pop_due(self, *, limit: int, now: int) -> Iterator[Task]:
        """Remove and yield at most `limit` delayed tasks that are due, in the order of due second and id (K7, C7)."""
        this_second = floor_to_second(now)
        delays = self.delays
        if self.leftovers is not None:
            # From now on the server does not count them either.
            self.unseen_delays += self.leftovers.drop_due(this_second)
        while limit and (first := delays.first()) is not None and first[0] <= this_second:
            task = delays.find(delays.pop())
            if task is not None:
                del self.delayed[task.id]
                limit -= 1
                yield task

    def put_leased(self, task: Task) -> None:
        """Add a task in progress with its `task.lease_expiry`, or update it after a change of its lease."""
        self.in_progress[task.id] = task
        heappush(self.leases.entries, (task.lease_expiry, task.id))
        self.leases.tidy_a_bit()
        if self._on_change is not None:
            self._on_change()

    def pop_expired(self, *, limit: int, now: int) -> Iterator[Task]:
        """Remove and yield at most `limit` tasks in progress whose lease counts as expired, the earliest first (K8)."""
        if self.leftovers is not None:
            self.leftovers.in_progress.clear()
        leases = self.leases
        expired_from = self._store.lease_expired_from
        while limit and (first := leases.first()) is not None and expired_from(first[0]) <= now:
            task = leases.find(leases.pop())
            if task is not None:
                del self.in_progress[task.id]
                limit -= 1
                yield task

    def next_moments(self) -> Iterator[int]:
        """The moments (ns) from which a claim finds ready, due and expired tasks here. 0 is at once.

        There is nothing to find before the first of them, unless the queue changes. Leftovers are not looked at: the
        versions that have them have a repair interval, for which each claim counts anyway (Q1).
        """
        if any(self.pending.values()):
            yield 0
        if (due := self.delays.next_due()) is not None:
            yield due
        if (end := self.leases.next_due()) is not None:
            yield self._store.lease_expired_from(end)

    def add_dead_letter(self, task: Task) -> None:
        """Add a task to the dead letter queue."""
        self.dead[task.id] = task

    def remove(self, task: Task) -> None:
        """Remove a task from every part of the queue (M3)."""
        self._watch.tell(self)
        if task.place is not None:
            self.pending[task.priority].remove(task)
        self.delayed.pop(task.id, None)
        self.in_progress.pop(task.id, None)
        self.dead.pop(task.id, None)
        self.leases.tidy_a_bit()
        self.delays.tidy_a_bit()

    def leave_id(self, task: Task) -> None:
        """Remove a task, but leave its id where it was (P8)."""
        left = self.leftovers = self.leftovers or Leftovers()
        if task.place is not None:
            self._watch.tell(self)
            self.pending[task.priority].leave_id(task)
        elif self.delayed.pop(task.id, None):
            left.delayed.add((task.visible_at, task.id))
            self.unseen_delays -= 1  # the server goes on counting it
        elif self.in_progress.pop(task.id, None):
            left.in_progress.add(task.id)
        elif self.dead.pop(task.id, None):
            left.dead.add(task.id)

    def clear(self) -> Slices[None]:
        """Remove all, in slices."""
        for ready in self.pending.values():
            yield from ready.clear()
        yield from emptied(self.delayed, self.in_progress, self.dead)
        for heap in (self.delays, self.leases):
            yield from emptied(heap.entries, heap.old or [])

    def pending_ids(self) -> Iterator[str]:
        """The ids of the tasks that are pending now, in the order of their claims. They may be read later."""
        items = chain.from_iterable([ready.items() for ready in self.pending.values()])
        return (task_id for task_id, task in items if task is not None)

    def ready_by_priority(self) -> list[int]:
        """The length of the pending list of each priority, 0 to 9 (M1)."""
        return [len(self.pending.get(priority, ())) for priority in range(PRIORITIES)]

    def ready_count(self) -> int:
        """The number of tasks that are pending and not delayed (M2)."""
        return sum(map(len, self.pending.values()))

"""A queue: the tasks of one command and tenant, grouped by location. Each step takes O(log n) at most."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappush
from operator import attrgetter
from typing import Any

from .due_heap import DueHeap
from .profiles import Store
from .task import Task
from .times import floor_to_second

PRIORITIES = 10

#: The key of a duplicate id in a pending list (Z4). No task has this id.
_DUPLICATE = ""

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
        "before_change",
        "dead",
        "delayed",
        "delays",
        "in_progress",
        "leases",
        "leftovers",
        "pending",
        "unseen_delays",
    )

    def __init__(self, store: Store, on_change: Callable[[], None] | None = None) -> None:
        self._store = store
        #: Called after each change by which a claim could find more than before.
        self._on_change = on_change
        #: Priority -> its pending list, the highest first. Created on first use: a server with many commands has many
        #: queues, and most of them use one priority. An id without a task is a duplicate (Z4) or left over (P8).
        self.pending: dict[int, OrderedDict[str, Task | None]] = {}
        #: Called before the next change of a pending list: a reader still needs the lists as they are now.
        self.before_change: Callable[[Any], None] | None = None
        self.delayed: dict[str, Task] = {}
        self.in_progress: dict[str, Task] = {}
        self.dead: dict[str, Task] = {}
        #: How many delayed tasks more there are than the server counts (P6).
        self.unseen_delays = 0
        self.leftovers: Leftovers | None = None
        self.delays = DueHeap(self.delayed, _visible_at)
        self.leases = DueHeap(self.in_progress, _lease_expiry)

    def put(self, task: Task) -> bool:
        """Append to the pending list of its priority. Returns whether that list was empty (U3)."""
        if self.before_change is not None:
            self.before_change(self)
        ready = self.pending.get(task.priority)
        if ready is None:
            ready = self.add_list(task.priority)
        ready[task.id] = task
        if self._on_change is not None:
            self._on_change()
        return len(ready) == 1

    def add_list(self, priority: int) -> OrderedDict[str, Task | None]:
        """Add the pending list of a priority, which must have none."""
        added = self.pending[priority] = OrderedDict[str, Task | None]()
        if len(self.pending) > 1:
            self.pending = dict(sorted(self.pending.items(), reverse=True))
        return added

    def take(self) -> Task | None:
        """Remove and return the next task: priority 9 first, first in first out within a priority (K4)."""
        if self.before_change is not None:
            self.before_change(self)
        for ready in self.pending.values():
            if ready:
                task = ready.popitem(last=False)[1]
                if task is not None:
                    return task
        return None

    def insert_duplicate_id(self) -> bool:
        """Put a duplicate id at the head of the highest non-empty priority (Z4). Returns whether there is one.

        The next `take` drops it and skips that priority.
        """
        if self.before_change is not None:
            self.before_change(self)
        for ready in self.pending.values():
            if ready:
                ready[_DUPLICATE] = None
                ready.move_to_end(_DUPLICATE, last=False)
                return True
        return False

    def remove_duplicate_id(self) -> bool:
        """Remove what `insert_duplicate_id` put in. Returns whether it was still there."""
        if self.before_change is not None:
            self.before_change(self)
        lists = [ready for ready in self.pending.values() if _DUPLICATE in ready]
        for ready in lists:
            del ready[_DUPLICATE]
        return bool(lists)

    def is_pending(self, task: Task) -> bool:
        """Whether the task is in the pending list of its priority."""
        return task.id in self.pending.get(task.priority, ())

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
        """From when (ns) a claim finds something here: ready, due or expired tasks. 0 is at once.

        There is nothing to find before the first of them, unless the queue changes. Leftovers do not count: where there
        are any, each claim counts anyway (Q1).
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
        if self.before_change is not None:
            self.before_change(self)
        ready = self.pending.get(task.priority)
        if ready is not None:
            ready.pop(task.id, None)
        self.delayed.pop(task.id, None)
        self.in_progress.pop(task.id, None)
        self.dead.pop(task.id, None)
        self.leases.tidy_a_bit()
        self.delays.tidy_a_bit()

    def leave_id(self, task: Task) -> None:
        """Remove a task, but leave its id where it was (P8)."""
        left = self.leftovers = self.leftovers or Leftovers()
        if self.is_pending(task):
            if self.before_change is not None:
                self.before_change(self)
            self.pending[task.priority][task.id] = None
        elif self.delayed.pop(task.id, None):
            left.delayed.add((task.visible_at, task.id))
            self.unseen_delays -= 1  # the server goes on counting it
        elif self.in_progress.pop(task.id, None):
            left.in_progress.add(task.id)
        elif self.dead.pop(task.id, None):
            left.dead.add(task.id)

    def pending_ids(self) -> list[str]:
        """The ids of the pending tasks, in the order of their claims."""
        return [task.id for ready in self.pending.values() for task in ready.values() if task is not None]

    def ready_by_priority(self) -> list[int]:
        """The length of the pending list of each priority, 0 to 9 (M1)."""
        return [len(self.pending.get(priority, ())) for priority in range(PRIORITIES)]

    def ready_count(self) -> int:
        """The number of tasks that are pending and not delayed (M2)."""
        return sum(map(len, self.pending.values()))

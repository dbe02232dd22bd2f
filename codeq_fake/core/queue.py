"""A queue: the tasks of one command and tenant, grouped by location. Each step takes O(log n) at most."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from .profiles import StoreProfile
from .task import Task
from .times import floor_to_second

PRIORITIES = 10

#: A heap of leases or delays is rebuilt when this many more of its entries are outdated than valid.
_SLACK = 64

#: The key of a duplicate id in a pending list (Z4). No task has this id.
_DUPLICATE = ""


class Queue:
    """The pending lists by priority, the delayed set, the tasks in progress and the dead letters.

    A queue knows only where a task is. The broker knows states and rules.
    """

    __slots__ = ("_delays", "_leases", "_profile", "dead", "delayed", "in_progress", "pending")

    def __init__(self, profile: StoreProfile) -> None:
        self._profile = profile
        #: The pending list of each priority, 0 to 9. Created on first use: a server with many commands has many queues,
        #: and most of them use one priority.
        self.pending: list[OrderedDict[str, Task | None] | None] = [None] * PRIORITIES
        self.delayed: dict[str, Task] = {}
        self.in_progress: dict[str, Task] = {}
        self.dead: dict[str, Task] = {}
        self._delays: list[tuple[int, str]] = []
        self._leases: list[tuple[int, str]] = []

    def put(self, task: Task) -> bool:
        """Append to the pending list of its priority. Returns whether that list was empty (U3)."""
        ready = self.pending[task.priority]
        if ready is None:
            ready = self.pending[task.priority] = OrderedDict()
        ready[task.id] = task
        return len(ready) == 1

    def take(self) -> Task | None:
        """Remove and return the next task: priority 9 first, first in first out within a priority (K4)."""
        for ready in reversed(self.pending):
            if ready:
                task = ready.popitem(last=False)[1]
                if task is not None:
                    return task
        return None

    def insert_duplicate_id(self) -> bool:
        """Put a duplicate id at the head of the highest non-empty priority (Z4). Returns whether there is one.

        The next `take` drops it and skips that priority.
        """
        for ready in reversed(self.pending):
            if ready:
                ready[_DUPLICATE] = None
                ready.move_to_end(_DUPLICATE, last=False)
                return True
        return False

    def remove_duplicate_id(self) -> bool:
        """Remove what `insert_duplicate_id` put in. Returns whether it was still there."""
        lists = [ready for ready in self.pending if ready and _DUPLICATE in ready]
        for ready in lists:
            del ready[_DUPLICATE]
        return bool(lists)

    def is_pending(self, task: Task) -> bool:
        """Whether the task is in the pending list of its priority."""
        ready = self.pending[task.priority]
        return ready is not None and task.id in ready

    def delay(self, task: Task) -> None:
        """Add a task that is delayed until `task.visible_at`."""
        self.delayed[task.id] = task
        heappush(self._delays, (task.visible_at, task.id))

    def pop_due(self, *, limit: int, now: int) -> Iterator[Task]:
        """Remove and yield at most `limit` delayed tasks that are due, in the order of due second and id (K7, C7)."""
        this_second = floor_to_second(now)
        delays = self._delays
        while limit and delays and delays[0][0] <= this_second:
            visible_at, task_id = heappop(delays)
            task = self.delayed.get(task_id)
            if task is not None and task.visible_at == visible_at:
                del self.delayed[task_id]
                limit -= 1
                yield task

    def put_leased(self, task: Task) -> None:
        """Add a task in progress with its `task.lease_expiry`, or update it after a change of its lease."""
        self.in_progress[task.id] = task
        heappush(self._leases, (task.lease_expiry, task.id))
        self._drop_outdated()

    def pop_expired(self, *, limit: int, now: int) -> Iterator[Task]:
        """Remove and yield at most `limit` tasks in progress whose lease counts as expired, the earliest first (K8)."""
        leases = self._leases
        expired_from = self._profile.lease_expired_from
        while limit and leases and expired_from(leases[0][0]) <= now:
            expiry, task_id = heappop(leases)
            task = self.in_progress.get(task_id)
            if task is not None and task.lease_expiry == expiry:
                del self.in_progress[task_id]
                limit -= 1
                yield task

    def add_dead_letter(self, task: Task) -> None:
        """Add a task to the dead letter queue."""
        self.dead[task.id] = task

    def remove(self, task: Task) -> None:
        """Remove a task from every part of the queue (M3)."""
        ready = self.pending[task.priority]
        if ready is not None:
            ready.pop(task.id, None)
        self.delayed.pop(task.id, None)
        self.in_progress.pop(task.id, None)
        self.dead.pop(task.id, None)
        self._drop_outdated()

    def _drop_outdated(self) -> None:
        """Rebuild the heaps when most of their entries are outdated."""
        leases, delays = self._leases, self._delays
        if len(leases) > 2 * len(self.in_progress) + _SLACK:
            leases[:] = [(held.lease_expiry, held.id) for held in self.in_progress.values()]
            heapify(leases)
        if len(delays) > 2 * len(self.delayed) + _SLACK:
            delays[:] = [(delayed.visible_at, delayed.id) for delayed in self.delayed.values()]
            heapify(delays)

    def by_lease_end(self) -> Iterator[Task]:
        """The tasks in progress, ordered by the end of their leases. Sorts only as many as the caller reads."""
        for expiry, task_id in _ascending(self._leases):
            task = self.in_progress.get(task_id)
            if task is not None and task.lease_expiry == expiry:
                yield task

    def delays(self) -> Iterator[Task]:
        """The delayed tasks, ordered by due time. Sorts only as many as the caller reads."""
        for visible_at, task_id in _ascending(self._delays):
            task = self.delayed.get(task_id)
            if task is not None and task.visible_at == visible_at:
                yield task

    def ready_by_priority(self) -> list[int]:
        """The length of the pending list of each priority, 0 to 9 (M1)."""
        return [len(ready) if ready else 0 for ready in self.pending]

    def ready_count(self) -> int:
        """The number of tasks that are pending and not delayed (M2)."""
        return sum([len(ready) for ready in self.pending if ready])


def _ascending(heap: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The distinct entries of a heap in ascending order. The heap is not changed."""
    frontier = [(heap[0], 0)] if heap else []
    latest = None
    while frontier:
        entry, index = heappop(frontier)
        if entry != latest:
            latest = entry
            yield entry
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heappush(frontier, (heap[child], child))

"""One queue: the tasks of one command and tenant, by where they are. Every step is O(log n) at most."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from .times import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .profiles import StoreProfile
    from .task import Task

PRIORITIES = 10

#: A lease heap is rebuilt when entries of ended or moved leases outnumber the live ones by this many.
_SLACK = 64

#: The key of a second copy of an id that is in progress: no task's (Z4).
_COPY = ""


class Queue:
    """The pending lists by priority, the delayed set, the tasks in progress and the dead letters.

    It knows where a task is, not why: states and rules are the broker's.
    """

    __slots__ = ("_delays", "_leases", "_profile", "_ready", "dead", "delayed", "in_progress")

    def __init__(self, profile: StoreProfile) -> None:
        self._profile = profile
        # Made on first use: a server with many commands has many queues, and most use one priority.
        self._ready: list[OrderedDict[str, Task | None] | None] = [None] * PRIORITIES
        self.delayed: dict[str, Task] = {}
        self.in_progress: dict[str, Task] = {}
        self.dead: dict[str, Task] = {}
        self._delays: list[tuple[int, str]] = []
        self._leases: list[tuple[int, str]] = []

    def put(self, task: Task) -> bool:
        """Append to the pending list of its priority; says whether that list was empty (U3)."""
        ready = self._ready[task.priority]
        if ready is None:
            ready = self._ready[task.priority] = OrderedDict()
        ready[task.id] = task
        return len(ready) == 1

    def take(self) -> Task | None:
        """Remove and return the next task: priority 9 first, within one first in first out (K4)."""
        for ready in reversed(self._ready):
            if ready:
                task = ready.popitem(last=False)[1]
                if task is not None:
                    return task
        return None

    def copy_ahead(self) -> bool:
        """Let the priority that is next begin with a copy of an id in progress; says whether any task is ready.

        Whoever takes the copy looks no further in that priority (Z4).
        """
        for ready in reversed(self._ready):
            if ready:
                ready[_COPY] = None
                ready.move_to_end(_COPY, last=False)
                return True
        return False

    def forget_copy(self) -> bool:
        """Undo :meth:`copy_ahead` where nobody has taken the copy; says whether there was one."""
        copies = [ready for ready in self._ready if ready and _COPY in ready]
        for ready in copies:
            del ready[_COPY]
        return bool(copies)

    def is_pending(self, task: Task) -> bool:
        """Whether the task is in the pending list of its priority."""
        ready = self._ready[task.priority]
        return ready is not None and task.id in ready

    def delay(self, task: Task) -> None:
        """Keep it until ``task.visible_at``."""
        self.delayed[task.id] = task
        heappush(self._delays, (task.visible_at, task.id))

    def due(self, *, limit: int, now: int) -> Iterator[Task]:
        """Remove and yield at most ``limit`` delayed tasks whose second has come: oldest first, then by id (K7, C7)."""
        this_second = now // SECOND * SECOND
        delays = self._delays
        while limit and delays and delays[0][0] <= this_second:
            visible_at, task_id = heappop(delays)
            task = self.delayed.get(task_id)
            if task is not None and task.visible_at == visible_at:
                del self.delayed[task_id]
                limit -= 1
                yield task

    def lease(self, task: Task) -> None:
        """Keep it in progress until ``task.lease_expiry``; again after the lease has moved."""
        self.in_progress[task.id] = task
        leases = self._leases
        heappush(leases, (task.lease_expiry, task.id))
        if len(leases) > 2 * len(self.in_progress) + _SLACK:
            leases[:] = [(held.lease_expiry, held.id) for held in self.in_progress.values()]
            heapify(leases)

    def expired(self, *, now: int) -> Iterator[Task]:
        """Remove and yield each task in progress whose lease counts as run out (K8)."""
        leases = self._leases
        spent_from = self._profile.spent_from
        while leases and spent_from(leases[0][0]) <= now:
            expiry, task_id = heappop(leases)
            task = self.in_progress.get(task_id)
            if task is not None and task.lease_expiry == expiry:
                del self.in_progress[task_id]
                yield task

    def bury(self, task: Task) -> None:
        """Keep it among the dead letters."""
        self.dead[task.id] = task

    def discard(self, task: Task) -> None:
        """Take it out, wherever it is (M3)."""
        ready = self._ready[task.priority]
        if ready is not None:
            ready.pop(task.id, None)
        self.delayed.pop(task.id, None)
        self.in_progress.pop(task.id, None)
        self.dead.pop(task.id, None)

    def leases(self) -> Iterator[Task]:
        """The tasks in progress, the lease that ends first leading. Looks at no more of them than are asked for."""
        for expiry, task_id in _in_order(self._leases):
            task = self.in_progress.get(task_id)
            if task is not None and task.lease_expiry == expiry:
                yield task

    def delays(self) -> Iterator[Task]:
        """The delayed tasks, the next one due leading. Looks at no more of them than are asked for."""
        for visible_at, task_id in _in_order(self._delays):
            task = self.delayed.get(task_id)
            if task is not None and task.visible_at == visible_at:
                yield task

    def ready_tasks(self) -> Iterator[Task]:
        """The pending tasks in the order in which they will be claimed."""
        for ready in reversed(self._ready):
            for task in ready.values() if ready else ():
                if task is not None:
                    yield task

    def ready_by_priority(self) -> list[int]:
        """The length of the pending list of each priority, 0 to 9 (M1)."""
        return [len(ready) if ready else 0 for ready in self._ready]

    def ready_count(self) -> int:
        """How many tasks are pending, delayed ones aside (M2)."""
        return sum([len(ready) for ready in self._ready if ready])


def _in_order(heap: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """A heap's entries from the least on, each once, without changing it."""
    frontier = [(heap[0], 0)] if heap else []
    latest = None
    while frontier:
        entry, place = heappop(frontier)
        if entry != latest:
            latest = entry
            yield entry
        for child in (2 * place + 1, 2 * place + 2):
            if child < len(heap):
                heappush(frontier, (heap[child], child))

"""The reaper of an embedded store: it ends expired leases at its own ticks, whether anybody claims or not (P1).

Old tasks end in `retention`.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappush
from operator import attrgetter

from .due_heap import DueHeap
from .requeueing import Requeueing
from .task import Event, State, Task
from .task_store import TaskStore

#: The most leases that one tick ends.
_MOST = 256

_lease_expiry = attrgetter("lease_expiry")


class Reaper:
    """Looks at the leases of all queues every `interval` (ns). `start` is one of its ticks."""

    def __init__(self, *, interval: int, start: int, store: TaskStore, requeueing: Requeueing) -> None:
        self._interval = interval
        self._start = start
        self._store = store
        self._requeueing = requeueing
        self._leases = DueHeap(store.tasks, _lease_expiry)
        self._swept_at = start

    def watch(self, task: Task) -> None:
        """Note that a task has a lease, or that its lease has another end."""
        heappush(self._leases.entries, (task.lease_expiry, task.id))
        self._leases.tidy_a_bit()

    def next_due(self) -> int | None:
        """The next tick (ns) at which a lease is over, or None if there is no lease."""
        leases = self._leases
        while (first := leases.first()) is not None:
            if leases.find(first) is not None:
                return self._tick_from(max(first[0], self._swept_at + 1))
            leases.pop()
        return None

    def _tick_from(self, instant: int) -> int:
        """The first tick that is not before an instant."""
        return instant + (self._start - instant) % self._interval

    def sweep(self, *, now: int) -> Iterator[Task]:
        """End the leases that are over at the tick `now`. Yields the tasks that became dead letters (P5).

        The others are delayed, but the server's count of its delayed tasks stays as it is: the claims that go by this
        count do not find them (P6).
        """
        self._swept_at = now
        for _ in range(_MOST):
            first = self._leases.first()
            if first is None or first[0] > now:
                return
            task = self._leases.find(self._leases.pop())
            if task is None or task.state is not State.LEASED:
                continue
            if self._requeueing.requeue_as_expired(task, Event.REAP, now=now).dead:
                yield task
            else:
                self._store.queue_for(task).unseen_delays += 1

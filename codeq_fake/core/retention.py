"""Retention in an embedded store: its index of what happened to tasks, by which they end (P8, M3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from .slices import Slices, at_once, batches, in_order
from .task import CREATED, Event, Task
from .task_store import CLEANUP_LIMIT, TaskStore
from .times import DAY_SECONDS, SECOND

#: An entry of the index: a second (s since the epoch) in which one of these happened to a task, and the task's id.
Entry = tuple[int, str]
_INDEXED = frozenset({CREATED, Event.CLAIM.value, Event.HEARTBEAT.value, Event.COMPLETE.value, Event.FAIL.value})

#: Between two sweeps, in ns, and how many entries one of them removes.
_INTERVAL = 30 * SECOND
_MOST = 512
_DAY = DAY_SECONDS * SECOND


class Retention:
    """Deletes tasks by the first of their entries, a day after it. `start` (ns) is one of its ticks.

    The later entries of a deleted task stay in the index, and count as if they were tasks.
    """

    def __init__(self, *, start: int, store: TaskStore) -> None:
        self._start = start
        self._store = store
        #: The entries of tasks that are gone.
        self.stale: set[Entry] = set()
        self._swept_at = start
        self._due: int | None = None

    def next_due(self) -> int | None:
        """The next tick (ns) at which the first entry is a day old, or None if there is none."""
        if self._due is None:
            seconds = [entry[0] for entry in self.stale]
            if oldest := next(iter(self._store.tasks.values()), None):
                seconds.append(oldest.created_at // SECOND)
            if seconds:
                instant = max(min(seconds) * SECOND + _DAY, self._swept_at + 1)
                self._due = instant + (self._start - instant) % _INTERVAL
        return self._due

    def sweep(self, *, now: int) -> None:
        """Delete what has been there for a day at the tick `now`."""
        self._swept_at, self._due = now, None
        for entry in at_once(self._first(_MOST, latest=now // SECOND - DAY_SECONDS)):
            self._remove(entry)

    def cleanup(self, *, before: int, limit: int) -> Slices[int]:
        """Remove the entries that are a day old as of `before` (ns), at most `limit`. Returns their number (M3).

        A `limit` that is not positive means 1000.
        """
        most = limit if limit > 0 else CLEANUP_LIMIT
        entries = yield from self._first(most, latest=before // SECOND - DAY_SECONDS)
        for part in batches(entries):
            for entry in part:
                self._remove(entry)
            yield
        self._due = None
        return len(entries)

    def _first(self, most: int, *, latest: int) -> Slices[list[Entry]]:
        """The first entries, at most so many and none after the second `latest`."""
        entries = [entry for entry in self.stale if entry[0] <= latest]
        # The first `most` entries belong to the first `most` tasks, since the first of a task is its creation.
        for tasks in batches(list(islice(self._store.tasks.values(), most))):
            entries += (entry for task in tasks for entry in _entries(task) if entry[0] <= latest)
            yield
        return (yield from in_order(entries))[:most]

    def _remove(self, entry: Entry) -> None:
        task = self._store.tasks.get(entry[1])
        if task is not None:
            self.stale.update(_entries(task))
            self._store.remove(task, leaves_id=True)
        self.stale.discard(entry)


def _entries(task: Task) -> Iterator[Entry]:
    """The entries of a task, by its history."""
    return ((second, task.id) for second in {entry.at // SECOND for entry in task.history if entry.what in _INDEXED})

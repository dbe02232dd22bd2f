"""Retention: which old tasks a clean-up deletes (M3), and when those of an embedded store end by themselves (P8)."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from .slices import Slices, at_once, batches, emptied, in_batches, in_order
from .task import CREATED, Event, Task
from .task_store import TaskStore
from .times import DAY_SECONDS, SECOND

CLEANUP_LIMIT = 1000

#: An entry of the index: a second (s since the epoch) in which one of these happened to a task, and the task's id.
Entry = tuple[int, str]
_INDEXED = frozenset({CREATED, Event.CLAIM.value, Event.HEARTBEAT.value, Event.COMPLETE.value, Event.FAIL.value})

#: Between two sweeps, in ns, and how many entries one of them removes.
_INTERVAL = 30 * SECOND
_MOST = 512
_DAY = DAY_SECONDS * SECOND


def cleanup(store: TaskStore, *, before: int, limit: int) -> Slices[int]:
    """Delete tasks untouched for 24 h as of `before` (ns), at most `limit`. Returns their number (M3).

    The order is that of the second of the last touch, then of the id. A `limit` that is not positive means 1000.
    """
    latest, most = _a_day_before(before), _most_of(limit)
    runs: list[list[tuple[int, str]]] = []
    for tasks in in_batches(store.all()):
        touches = ((task.touched_at // SECOND, task.id) for task in tasks)
        runs.append(sorted(touch for touch in touches if touch[0] <= latest))
        yield
    deleted = 0
    for touched, task_id in merge(*runs):
        task = store.tasks.get(task_id)
        # In a pause it may have been touched or deleted.
        if task is not None and task.touched_at // SECOND == touched:
            store.remove(task)
            deleted += 1
        if deleted == most:
            break
        yield
    while runs:
        # One by one: as long as the lists are there, the memory of their rows is kept, and then given back all at once.
        yield from emptied(runs.pop())
    return deleted


class EntryIndex:
    """The index of an embedded store: it deletes tasks a day after their first entry. `start` (ns) is one of its ticks.

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
        """Remove the entries that are a day old at the tick `now`, at most `_MOST`, and delete their tasks."""
        self._swept_at, self._due = now, None
        for entry in at_once(self._first(_MOST, latest=_a_day_before(now))):
            self._remove(entry)

    def cleanup(self, *, before: int, limit: int) -> Slices[int]:
        """Remove the entries that are a day old as of `before` (ns), at most `limit`. Returns their number (M3).

        A `limit` that is not positive means 1000.
        """
        entries = yield from self._first(_most_of(limit), latest=_a_day_before(before))
        for part in batches(entries):
            for entry in part:
                self._remove(entry)
            yield
        return len(entries)

    def _first(self, most: int, *, latest: int) -> Slices[list[Entry]]:
        """The first `most` entries, but none that is later than the second `latest` (s since the epoch)."""
        entries = [entry for entry in self.stale if entry[0] <= latest]
        # The first `most` entries belong to the first `most` tasks, since the first of a task is its creation.
        for tasks in batches(list(islice(self._store.tasks.values(), most))):
            entries += (entry for task in tasks for entry in _entries(task) if entry[0] <= latest)
            yield
        return (yield from in_order(entries))[:most]

    def _remove(self, entry: Entry) -> None:
        """Remove an entry, and delete its task if that still exists. The task's other entries become stale."""
        task = self._store.tasks.get(entry[1])
        if task is not None:
            self.stale.update(_entries(task))
            self._store.remove(task, leaves_id=True)
        self.stale.discard(entry)


def _entries(task: Task) -> Iterator[Entry]:
    """The entries of a task, by its history."""
    return ((second, task.id) for second in {entry.at // SECOND for entry in task.history if entry.what in _INDEXED})


def _a_day_before(instant: int) -> int:
    """The second (s since the epoch) that is 24 h before an instant (ns)."""
    return instant // SECOND - DAY_SECONDS


def _most_of(limit: int) -> int:
    """How many tasks or entries a clean-up may remove."""
    return limit if limit > 0 else CLEANUP_LIMIT

"""A heap of tasks by the instant at which a lease or a delay ends. What is outdated is dropped in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from typing import TypeAlias

from .slices import Slices
from .task import Task

#: Instant (ns) and id of a task.
Entry: TypeAlias = tuple[int, str]

#: The heap is tidied when this many more of its entries are outdated than valid.
_SLACK = 64
#: How many entries one step of the tidying moves.
_STEP = 64
#: So many outdated entries are quick to skip.
_FEW = 1000


class DueHeap:
    """The entries of tasks. One is outdated when its task is no longer a member, or when `due` of the task differs.

    An outdated entry stays until it is first, or until the heap is tidied: a heap cannot find an entry. To tidy at once
    would take a tenth of a second for 100,000 tasks. Therefore all entries become the `old` ones, and each later change
    of the queue moves some of those that are valid back to `entries`.
    """

    __slots__ = ("_due", "_members", "entries", "old")

    def __init__(self, members: Mapping[str, Task], due: Callable[[Task], int]) -> None:
        self._members = members
        self._due = due
        #: A new entry is pushed here, with `heappush`.
        self.entries: list[Entry] = []
        #: A heap, too; None is an empty one, since a server with many commands has many of them.
        self.old: list[Entry] | None = None

    def find(self, entry: Entry) -> Task | None:
        """The task of an entry, None if the entry is outdated."""
        task = self._members.get(entry[1])
        return task if task is not None and self._due(task) == entry[0] else None

    def first(self) -> Entry | None:
        """The first entry, which may be outdated."""
        heap = self._first_heap()
        return heap[0] if heap else None

    def next_due(self) -> int | None:
        """The first instant of a task, None without one. Removes outdated entries before it."""
        while (first := self.first()) is not None:
            if self.find(first) is not None:
                return first[0]
            self.pop()
        return None

    def pop(self) -> Entry:
        """Remove and return the first entry. There must be one."""
        return heappop(self._first_heap())

    def _first_heap(self) -> list[Entry]:
        if not self.old or (self.entries and self.entries[0] < self.old[0]):
            return self.entries
        return self.old

    def tidy_a_bit(self) -> None:
        """Do a step of the tidying, if it has begun or if most entries are outdated. Called at each change."""
        if self.old is None:
            if len(self.entries) <= 2 * len(self._members) + _SLACK:
                return
            self.old, self.entries = self.entries, []
        self._step()

    def tidied(self) -> Slices[None]:
        """Tidy until few entries are outdated."""
        while self.old is not None or len(self.entries) > len(self._members) + _FEW:
            if self.old is None:
                self.old, self.entries = self.entries, []
            self._step()
            yield

    def _step(self) -> None:
        """Move some entries that are not outdated into the new heap."""
        old = self.old or []
        for entry in old[: -_STEP - 1 : -1]:
            if self.find(entry) is not None:
                heappush(self.entries, entry)
        del old[-_STEP:]  # without its last entries a heap is still one
        if not old:
            self.old = None

    def in_order(self) -> Iterator[Task]:
        """The tasks in the order of their instants. Sorts only as many as the caller reads, and changes no heap."""
        # The first of both heaps, and below each entry that was read its two children, of which none comes before it.
        heaps = [heap for heap in (self.entries, self.old) if heap]
        frontier = [(heap[0], number, 0) for number, heap in enumerate(heaps)]
        frontier.sort()
        latest = None
        while frontier:
            entry, number, index = heappop(frontier)
            if entry != latest:  # a lease that was renewed without a change of its end has a second entry
                latest = entry
                task = self.find(entry)
                if task is not None:
                    yield task
            heap = heaps[number]
            for child in (2 * index + 1, 2 * index + 2):
                if child < len(heap):
                    heappush(frontier, (heap[child], number, child))

"""A pending list: the ready tasks of one priority, first in first out. No step takes longer for a longer list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

from .slices import BATCH, Slices
from .task import Task

#: By id, in the order of claims. An id without a task is a duplicate (Z4), or what a clean-up has left (P8).
_Part: TypeAlias = dict[str, Task | None]
#: The most ids of one part: so many fill a dict of Python's, and the next one would double it.
_MOST = 340

#: The id of a duplicate. No task has it.
_DUPLICATE = ""


class PendingList:
    """The ids in the order of claims, in parts. `Task.place` is the number of its part, None in no list.

    A reader gets all parts as they are. One that changes later is copied first, which is quick, since it is short.
    """

    __slots__ = ("_count", "_first", "_last", "_parts", "_shared")

    def __init__(self) -> None:
        #: By number. None is empty, except that the last one may be.
        self._parts: dict[int, _Part] = {0: {}}
        self._first = self._last = self._count = 0
        #: The numbers of those that a reader may have.
        self._shared: set[int] | None = None

    def __len__(self) -> int:
        return self._count

    def items(self) -> Iterator[tuple[str, Task | None]]:
        """The ids and tasks as they are now. They may be read while the list changes."""
        self._shared = set(self._parts)
        parts = [self._parts[number] for number in sorted(self._parts)]
        return chain.from_iterable(map(_Part.items, parts))

    def append(self, task: Task) -> None:
        """Add a task. One that is in the list keeps its place."""
        if task.place is None:
            self._end()[task.id] = task
            self._count += 1
            task.place = self._last

    def append_id(self, task_id: str) -> None:
        """Add an id without a task."""
        self._end()[task_id] = None
        self._count += 1

    def pop(self) -> Task | None:
        """Remove and return the first task, or None for an id without a task. There must be one."""
        part = self._to_change(self._first)
        task = part.pop(next(iter(part)))
        if task is not None:
            task.place = None
        self._count -= 1
        if not part:
            self._drop(self._first)
        return task

    def remove(self, task: Task) -> None:
        """Remove a task, if it is in the list."""
        number, task.place = task.place, None
        if number is not None:
            part = self._to_change(number)
            del part[task.id]
            self._count -= 1
            if not part:
                self._drop(number)

    def leave_id(self, task: Task) -> None:
        """Remove a task, which must be in the list, but leave its id in its place (P8)."""
        number, task.place = task.place, None
        if number is not None:
            self._to_change(number)[task.id] = None

    def insert_duplicate(self) -> None:
        """Put a duplicate before all others, unless there is one (Z4). The list must not be empty."""
        if not self._begins_with_duplicate():
            self._first -= 1
            self._parts[self._first] = {_DUPLICATE: None}
            self._count += 1

    def remove_duplicate(self) -> bool:
        """Remove the duplicate. Returns whether there was one."""
        is_there = self._count > 0 and self._begins_with_duplicate()
        if is_there:
            self.pop()
        return is_there

    def left_ids(self) -> Iterator[str]:
        """The ids that a clean-up has left."""
        return (task_id for task_id, task in self.items() if task is None and task_id != _DUPLICATE)

    def clear(self) -> Slices[None]:
        """Remove all, in slices."""
        while self._count:
            for _ in range(min(BATCH, self._count)):
                self.pop()
            yield

    def _end(self) -> _Part:
        """The part to which the next id is added."""
        if len(self._parts[self._last]) == _MOST:
            self._last += 1
            self._parts[self._last] = {}
        return self._to_change(self._last)

    def _to_change(self, number: int) -> _Part:
        """A part that no reader has."""
        part = self._parts[number]
        if self._shared and number in self._shared:
            self._shared.remove(number)
            part = self._parts[number] = part.copy()
        return part

    def _drop(self, number: int) -> None:
        """Drop an empty part, unless it is the last one."""
        if number != self._last:
            del self._parts[number]
            while self._first not in self._parts:
                self._first += 1

    def _begins_with_duplicate(self) -> bool:
        return next(iter(self._parts[self._first])) == _DUPLICATE

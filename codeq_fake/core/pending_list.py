"""A pending list: the ready tasks of one priority, first in first out. No step takes longer for a longer list."""

from __future__ import annotations

from collections.abc import Iterator

from .parts import Parts
from .slices import BATCH, Slices
from .task import Task

#: The id of a duplicate. No task has it.
_DUPLICATE = ""


class PendingList(Parts[Task | None]):
    """The ids in the order of claims. One without a task is a duplicate (Z4), or what a clean-up has left (P8).

    `Task.place` is the number of the task's part, None in no list.
    """

    __slots__ = ()

    def append(self, task: Task) -> None:
        """Add a task. One that is in the list keeps its place."""
        if task.place is None:
            task.place = self.add(task.id, task)

    def append_id(self, task_id: str) -> None:
        """Add an id without a task."""
        self.add(task_id, None)

    def pop(self) -> Task | None:
        """Remove and return the first task, or None for an id without a task. There must be one."""
        task = self.pop_first()
        if task is not None:
            task.place = None
        return task

    def remove(self, task: Task) -> None:
        """Remove a task, if it is in the list."""
        if task.place is not None:
            self.discard(task.id, task.place)
            task.place = None

    def leave_id(self, task: Task) -> None:
        """Remove a task, if it is in the list, but leave its id in its place (P8)."""
        if task.place is not None:
            self.replace(task.id, task.place, None)
            task.place = None

    def insert_duplicate(self) -> None:
        """Put a duplicate before all others, unless there is one (Z4). The list must not be empty."""
        if self.first_key() != _DUPLICATE:
            self.add_first(_DUPLICATE, None)

    def remove_duplicate(self) -> bool:
        """Remove the duplicate. Returns whether there was one."""
        is_there = len(self) > 0 and self.first_key() == _DUPLICATE
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

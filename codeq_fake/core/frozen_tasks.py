"""Tasks as they are at one instant, read one by one while they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .task import Task

ShownT = TypeVar("ShownT")


class FrozenTasks(Generic[ShownT]):
    """What `show` makes of each of some tasks at this instant. Iterate over it once.

    A task that changes before its turn is shown at once, before the change. Only one of these may be under way for a
    task, and one that is not read to its end has to be closed.
    """

    def __init__(self, tasks: list[Task], show: Callable[[Task], ShownT]) -> None:
        self._tasks = tasks
        self._show = show
        #: Id of a task -> what was made of it before it changed.
        self._early: dict[str, ShownT] = {}
        before_change = self._show_early
        for task in tasks:
            task.before_change = before_change

    def __iter__(self) -> Iterator[ShownT]:
        try:
            for task in self._tasks:
                if task.before_change is None:
                    yield self._early.pop(task.id)
                else:
                    task.before_change = None
                    yield self._show(task)
        finally:
            self.close()

    def close(self) -> None:
        """Let the tasks that were not read change freely again."""
        for task in self._tasks:
            task.before_change = None

    def _show_early(self, task: Task) -> None:
        task.before_change = None
        self._early[task.id] = self._show(task)

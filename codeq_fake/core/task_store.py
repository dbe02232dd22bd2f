"""The store of a server's tasks: by id, and in queues by command and tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import add
from typing import NamedTuple

from .commands import BUILT_IN_COMMANDS, queue_name
from .frozen_items import Watch
from .parts import Parts
from .profiles import Store
from .queue import Leftovers, Queue
from .slices import BATCH, Slices
from .task import State, Task


class QueueStats(NamedTuple):
    """The number of tasks of one command and tenant, by location (M2)."""

    ready: int = 0
    delayed: int = 0
    in_progress: int = 0
    dead: int = 0


class TaskStore:
    """All tasks and their queues. `on_change` is called after each change by which a claim could find more."""

    def __init__(self, store: Store, on_change: Callable[[], None] | None = None) -> None:
        self._store = store
        self.tasks: dict[str, Task] = {}
        #: The same in parts, for `all`.
        self._in_order: Parts[Task] = Parts()
        #: (tenant, queue name) -> queue.
        self.queues: dict[tuple[str, str], Queue] = {}
        self._on_change = on_change
        #: Each command -> the text that its first task has. All tasks of the command share it, which saves memory.
        self._commands: dict[str, str] = {}
        self.watch_of_tasks = Watch()
        self.watch_of_queues = Watch()

    def keep(self, task: Task) -> None:
        """Add a task, but to no queue."""
        task.command = self._commands.setdefault(task.command, task.command)
        task.watch, task.shown_in = self.watch_of_tasks, self.watch_of_tasks.reading
        task.number = self._in_order.add(task.id, task)
        self.tasks[task.id] = task

    def all(self, *, newest_first: bool = False) -> Iterator[Task]:
        """All tasks that there are now, the oldest first. They may be read while others come and go."""
        return (task for _, task in self._in_order.items(last_first=newest_first))

    def add(self, task: Task) -> bool:
        """Add a new task. Returns whether it is the only one that is ready in its priority (U3)."""
        self.keep(task)
        queue = self.queue_for(task)
        if task.state is State.DELAYED:
            queue.delay(task)
            return False
        return queue.put(task)

    def queue_for(self, task: Task) -> Queue:
        """The queue of the task's command and tenant, created if it does not exist."""
        key = (task.tenant, queue_name(task.command))
        queue = self.queues.get(key)
        if queue is None:
            queue = self.queues[key] = self._new_queue()
        return queue

    def queue_at(self, tenant: str, name: str) -> Queue:
        """The queue of a tenant and name, created if it does not exist."""
        return self.queues.setdefault((tenant, name), self._new_queue())

    def _new_queue(self) -> Queue:
        return Queue(self._store, self._on_change, self.watch_of_queues)

    def stats(self, command: str, *, tenant: str) -> QueueStats:
        """The sizes of one queue (M2)."""
        queue = self.queues.get((tenant, queue_name(command)))
        return QueueStats() if queue is None else _stats(queue)

    def totals(self) -> Slices[QueueStats]:
        """The sizes of all queues together."""
        total = QueueStats()
        for queue in list(self.queues.values()):
            total = QueueStats(*map(add, total, _stats(queue)))
            yield
        return total

    def built_in_sizes(self) -> dict[str, int]:
        """The sizes of the built-in commands' queues without tenant, by storage key in alphabetical order (M1)."""
        sizes: dict[str, int] = {}
        for command in sorted(BUILT_IN_COMMANDS):
            prefix = f"codeq:q:{queue_name(command)}"
            queue = self.queues.get(("", queue_name(command))) or self._new_queue()
            sizes[f"{prefix}:delayed"] = len(queue.delayed)
            sizes[f"{prefix}:dlq"] = len(queue.dead)
            sizes[f"{prefix}:inprog"] = len(queue.in_progress)
            for priority, length in enumerate(queue.ready_by_priority()):
                sizes[f"{prefix}:pending:{priority}"] = length
        return sizes

    def all_sizes(self) -> dict[str, int]:
        """The sizes of all queues that are not empty, by storage key in alphabetical order (P12)."""
        sizes: dict[str, int] = {}
        for (tenant, name), queue in self.queues.items():
            if "/" in name:  # the server splits its own keys at slashes, and so does not find these queues
                continue
            queue_key = f"codeq:q:{name}:{tenant}" if tenant else f"codeq:q:{name}"
            ready, stats = queue.ready_by_priority(), _stats(queue)
            sizes |= {f"{queue_key}:delayed": stats.delayed, f"{queue_key}:dlq": stats.dead}
            sizes |= {f"{queue_key}:inprog": stats.in_progress}
            sizes |= {f"{queue_key}:pending:{priority}": length for priority, length in enumerate(ready)}
        return dict(sorted((key, length) for key, length in sizes.items() if length))

    def remove(self, task: Task, *, leaves_id: bool = False) -> None:
        """Delete a task. Its idempotency key no longer counts (C8). Its queue may go on counting its id (P8)."""
        queue = self.queue_for(task)
        if leaves_id:
            queue.leave_id(task)
        else:
            queue.remove(task)
        del self.tasks[task.id]
        self._in_order.discard(task.id, task.number)

    def clear(self) -> Slices[None]:
        """Free the memory of all tasks, in slices. Nothing may use the store any more."""
        for queue in self.queues.values():
            yield from queue.clear()
        while self.tasks:
            for _ in range(min(BATCH, len(self.tasks))):
                del self.tasks[self._in_order.pop_first().id]
            yield


def _stats(queue: Queue) -> QueueStats:
    """The sizes of a queue as the server counts them: with the ids that a clean-up has left (P8)."""
    left = queue.leftovers or Leftovers()
    return QueueStats(
        ready=queue.ready_count(),
        delayed=len(queue.delayed) + len(left.delayed),
        in_progress=len(queue.in_progress) + len(left.in_progress),
        dead=len(queue.dead) + len(left.dead),
    )

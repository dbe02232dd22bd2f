"""The slots of one worker run: the deliveries that use them, and the handlers that do not let go of theirs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from codeq_client._api.clock import Clock

from .delivery import Delivery
from .handlers import Handler


class Slots:
    """`number` slots, each for one task. A task that is delivered again needs no second one.

    The keys of `handlers` are commands in lower case (C2).
    """

    def __init__(self, number: int, handlers: Mapping[str, Handler], clock: Clock) -> None:
        self._number = number
        self._handlers = handlers
        self._clock = clock
        self._deliveries: dict[str, list[Delivery]] = {}
        """By the task's id. A task that is delivered again has several."""

    @property
    def used(self) -> int:
        """The number of tasks in work."""
        return len(self._deliveries)

    @property
    def free(self) -> int:
        """The number of slots without a task."""
        return self._number - self.used

    def used_by(self, command: str) -> int:
        """Return the number of tasks in work of a command, in lower case."""
        return sum(deliveries[0].command.lower() == command for deliveries in self._deliveries.values())

    def deliveries(self) -> list[Delivery]:
        """Return all deliveries that have not ended."""
        return [delivery for deliveries in list(self._deliveries.values()) for delivery in deliveries]

    def add(self, delivery: Delivery) -> Sequence[Delivery]:
        """Give a delivery the slot of its task, and return the earlier deliveries of that."""
        deliveries = self._deliveries.setdefault(delivery.task_id, [])
        earlier = list(deliveries)
        deliveries.append(delivery)
        return earlier

    def remove(self, delivery: Delivery) -> None:
        """Free the slot, unless the task has another delivery."""
        deliveries = self._deliveries[delivery.task_id]
        deliveries.remove(delivery)
        if not deliveries:
            del self._deliveries[delivery.task_id]

    @property
    def oldest(self) -> float:
        """The seconds since the oldest task in work was claimed; 0 without a task."""
        return max((delivery.age() for delivery in self.deliveries()), default=0.0)

    @property
    def stuck(self) -> int:
        """The number of tasks whose handler had to end and still runs."""
        return len(self._stuck())

    @property
    def has_usable(self) -> bool:
        """Whether stuck handlers leave a slot for a task of a command that is below its limit."""
        return self._blocked_since() is None

    @property
    def standstill(self) -> float:
        """For how many seconds there has been no usable slot; 0 if there is one."""
        since = self._blocked_since()
        return 0.0 if since is None else self._clock.monotonic() - since

    def _stuck(self) -> dict[str, tuple[str, float]]:
        """Return the stuck handlers by the task's id: the command, and since when."""
        deliveries = [(each.task_id, each.command.lower(), each.stuck_since) for each in self.deliveries()]
        return {task_id: (command, since) for task_id, command, since in deliveries if since is not None}

    def _blocked_since(self) -> float | None:
        """Return since when stuck handlers have left no usable slot, or None."""
        stuck = self._stuck().values()
        of_command = Counter(command for command, _ in stuck)
        has_room = any(of_command[name] < (handler.concurrency or math.inf) for name, handler in self._handlers.items())
        if has_room and len(stuck) < self._number:
            return None
        return max(since for _, since in stuck)

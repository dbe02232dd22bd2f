"""Where a task stands in its queue, and who has asked for tasks of late: why a worker gets none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from codeq_fake.core import Broker, Task
from codeq_fake.http.operations import CLAIMS
from codeq_fake.journal import Request
from codeq_fake.runtime.fake_server import FakeServer

#: A task behind so many others is behind "more than" that.
_MOST_COUNTED = 100_000
_FEW = 3


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a task in its queue: `number` of `total`, which counts from 1. 0 is beyond what is counted."""

    number: int
    total: int


def position(broker: Broker, task: Task) -> Position | None:
    """The place of a task in the order in which claims get the ready ones (K4), None if it is not among them."""
    queue = broker.store.queue_for(task)
    if not queue.is_pending(task):
        return None
    order = (task_id for ready in queue.pending.values() for task_id in ready)
    number = next((n for n, task_id in enumerate(islice(order, _MOST_COUNTED), start=1) if task_id == task.id), 0)
    return Position(number, queue.ready_count())


def latest_claims(runtime: FakeServer) -> list[Request]:
    """The latest claim of each of the last callers, the latest first."""
    return list(islice(_by_callers(runtime), _FEW))


def _by_callers(runtime: FakeServer) -> Iterator[Request]:
    seen: set[str] = set()
    for entry in reversed(runtime.requests.entries):
        if entry.operation in CLAIMS and entry.caller not in seen:
            seen.add(entry.caller)
            yield entry

"""The list of tasks: a search, its order, and how many tasks each filter would show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias

from codeq_fake.clocks import END_OF_TIME
from codeq_fake.control.stuck_tasks import is_lease_over, is_stuck
from codeq_fake.control.task_search import TaskSearch, is_short
from codeq_fake.core import Broker, Task
from codeq_fake.core.slices import BATCH, Slices, batches, emptied, in_batches
from codeq_fake.runtime.fake_server import FakeServer

from .data import Sheet, TaskRow, end_of_wait, sheet
from .limits import MOST_SUGGESTED
from .rendering import STATES

#: The filters besides the words for states.
LEASE_OVER, STUCK = "lease over", "stuck"
_NAMES = ("ready", "delayed", "in progress", LEASE_OVER, STUCK, "dead", "completed", "failed", "lost", "without lease")
#: The filters by name, as the page calls them.
FILTERS: Mapping[str, str] = MappingProxyType({name: name.capitalize() for name in _NAMES})

#: So many queues are looked at for names to suggest.
_MOST_QUEUES = 1000


@dataclass(frozen=True, slots=True)
class Search:
    """A search for tasks; an empty field matches all. `state` is one of `FILTERS`, `sort` one of `ORDERS`."""

    text: str = ""
    state: str = ""
    command: str = ""
    tenant: str = ""
    sort: str = ""

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of the query that asks for it."""
        return {
            "q": self.text,
            "state": self.state,
            "command": self.command,
            "tenant": self.tenant,
            "sort": self.sort,
        }


def _age(task: Task, _: Broker) -> int:
    return task.created_at


def _time_of_change(task: Task, _: Broker) -> int:
    return task.state_since


def _end_of_wait(task: Task, broker: Broker) -> int:
    return end_of_wait(task, broker) or END_OF_TIME


def _priority(task: Task, _: Broker) -> int:
    return -task.priority


def _attempts(task: Task, _: Broker) -> int:
    return -task.attempts


Order: TypeAlias = Callable[[Task, Broker], int]

#: The orders besides the newest first: what the tasks are sorted by, the lowest first.
ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "oldest": _age,
        "longest in its state": _time_of_change,
        "lease or delay ends first": _end_of_wait,
        "highest priority": _priority,
        "most attempts": _attempts,
    }
)


@dataclass(frozen=True, slots=True)
class TaskList:
    """One sheet of the tasks that match, and how many tasks each filter would show in place of the search's own."""

    sheet: Sheet[TaskRow]
    counts: Mapping[str, int]
    total: int


def find(runtime: FakeServer, search: Search, number: int, *, size: int) -> Slices[TaskList]:
    """Sheet `number` of the tasks that match, the newest first unless the search has another order."""
    broker, now = runtime.broker, runtime.clock.now()
    wanted = TaskSearch(command=search.command, tenant=search.tenant or None, text=search.text)
    is_narrow = not wanted.is_empty
    #: The filters that show a task -> how many tasks have just these.
    alike: Counter[tuple[str, ...]] = Counter()
    matching: list[Task] = []
    for batch in in_batches(broker.store.all(newest_first=True)):
        for task in batch:
            if is_narrow and not wanted.matches(task, broker, now):
                continue
            if wanted.text:
                has_text = wanted.short_has_text(task) if is_short(task) else (yield from wanted.has_text(task))
                if not has_text:
                    continue
            filters = _filters_of(task, broker, now)
            alike[filters] += 1
            if not search.state or search.state in filters:
                matching.append(task)
        yield
    total, shown = len(matching), matching
    if (order := ORDERS.get(search.sort)) is not None:
        matching.reverse()  # of equal ones, the oldest first
        shown = yield from _first(matching, order, broker, number * size)
    part = sheet(shown, number, size=size, total=total)
    yield from emptied(matching)
    counts: Counter[str] = Counter()
    for filters, count in alike.items():
        counts.update(dict.fromkeys(filters, count))
    rows = Sheet([TaskRow.of(task, broker) for task in part.items], number, part.total, size)
    return TaskList(rows, counts, alike.total())


def _first(tasks: Sequence[Task], order: Order, broker: Broker, count: int) -> Slices[list[Task]]:
    """The first `count` of some tasks in an order. Of equal ones, that which comes first stays first."""
    first: list[tuple[int, int, Task]] = []
    last = END_OF_TIME + 1
    for start, batch in enumerate(batches(tasks)):
        keys = ((order(task, broker), BATCH * start + n, task) for n, task in enumerate(batch))
        first = sorted([*first, *sorted(row for row in keys if row[0] < last)])[:count]
        if len(first) == count:
            last = first[-1][0]
        yield
    return [task for _, _, task in first]


def _filters_of(task: Task, broker: Broker, now: int) -> tuple[str, ...]:
    """The filters that show a task: the word for its state, and those for what is wrong with it."""
    word = STATES[task.state]
    if is_lease_over(task, broker, now):
        return (word, LEASE_OVER, STUCK)
    return (word, STUCK) if is_stuck(task, broker, now) else (word,)


def suggestions(broker: Broker) -> Mapping[str, Sequence[str]]:
    """Some of the commands and tenants that the fake has tasks of."""
    tenants = dict.fromkeys(tenant for tenant, _ in islice(broker.store.queues, _MOST_QUEUES) if tenant)
    return {
        "commands": list(islice(broker.counters.created, MOST_SUGGESTED)),
        "tenants": list(islice(tenants, MOST_SUGGESTED)),
    }

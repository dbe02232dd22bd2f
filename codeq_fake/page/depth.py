"""The depth of the queues over the fake's time: how many tasks were ready, delayed, in progress and dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from codeq_fake.control import representations
from codeq_fake.core import State, Task
from codeq_fake.core.commands import queue_name
from codeq_fake.core.slices import Slices, in_batches
from codeq_fake.runtime.fake_server import FakeServer

from .data import first_keys
from .rendering import STATES

#: In so many steps a line shows the whole time.
STEPS = 120
HEIGHT = 30

_SHOWN = (State.READY, State.DELAYED, State.LEASED, State.DEAD)


@dataclass(frozen=True, slots=True)
class Series:
    """How many tasks were in a state, at each step."""

    state: str
    depths: Sequence[int]

    @property
    def now(self) -> int:
        """The present number."""
        return self.depths[-1]

    @property
    def most(self) -> int:
        """The largest number."""
        return max(self.depths)

    @property
    def path(self) -> str:
        """The line as the path of an SVG, `STEPS` wide and `HEIGHT` high."""
        scale = HEIGHT / max(1, self.most)
        parts: list[str] = []
        last = None
        for x, depth in enumerate(self.depths):
            if depth != last:
                y = round(HEIGHT - depth * scale, 1)
                parts.append(f"M0 {y}" if last is None else f"H{x}V{y}")
                last = depth
        return "".join((*parts, f"H{STEPS}"))


@dataclass(frozen=True, slots=True)
class Chart:
    """The lines of one queue; `command` is None for all queues together."""

    tenant: str
    command: str | None
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Depth:
    """The charts from `since` to `until` (ns)."""

    since: int
    until: int
    charts: Sequence[Chart]


def of_fake(runtime: FakeServer, *, most: int) -> Slices[Depth]:
    """The depth of all queues together, and of the first `most` by tenant and name."""
    broker, until = runtime.broker, runtime.clock.now()
    since = until
    for batch in in_batches(broker.store.all()):
        since = min(since, *(task.created_at for task in batch))
        yield
    keys = yield from first_keys(broker, most)
    spelled = yield from representations.spelled_commands(broker)
    in_all = _Changes(since, until)
    by_queue = {key: _Changes(since, until) for key in keys}
    names: dict[str, str] = {}
    for batch in in_batches(broker.store.all()):
        for task in batch:
            name = names.get(task.command) or names.setdefault(task.command, queue_name(task.command))
            in_all.add(task)
            if (of_queue := by_queue.get((task.tenant, name))) is not None:
                of_queue.add(task)
        yield
    queues = (Chart(key[0], spelled.get(key[1], key[1]), changes.series()) for key, changes in by_queue.items())
    return Depth(since, until, [Chart("", None, in_all.series()), *queues])


class _Changes:
    """By how much the number of tasks in each state changes at each step."""

    def __init__(self, since: int, until: int) -> None:
        self._since = since
        self._length = max(1, until - since)
        self._by_state = {state: [0] * (STEPS + 1) for state in State}

    def add(self, task: Task) -> None:
        """Add the changes of one task. A change counts from the first step at or after it."""
        by_state, since, length = self._by_state, self._since, self._length
        for entry in task.history:
            if entry.before is not entry.after:
                step = min(STEPS, -((since - entry.at) * STEPS // length))
                by_state[entry.after][step] += 1
                if entry.before is not None:
                    by_state[entry.before][step] -= 1

    def series(self) -> list[Series]:
        """The line of each state that is shown."""
        return [Series(STATES[state], list(accumulate(self._by_state[state]))) for state in _SHOWN]

"""The views of the page with 20,000 tasks: the slowest one."""

from __future__ import annotations

import gc
import time
from statistics import median
from typing import TYPE_CHECKING

from codeq_fake.testing import FakeCodeQ

from .rows import under

if TYPE_CHECKING:
    import httpx

    from .effort import Effort
    from .rows import Row

_TASKS = 20_000
_REQUESTS = 2_000
_QUEUES = 40
_VIEWS = (
    "/_fake/",
    "/_fake/page/tasks",
    "/_fake/page/tasks?sheet=300",
    "/_fake/page/tasks?q=199&state=stuck",
    "/_fake/page/tasks?state=stuck",
    "/_fake/page/tasks?sort=longest+in+its+state",
    "/_fake/page/tasks?q=number&sort=lease+or+delay+ends+first",
    "/_fake/page/workers",
    "/_fake/page/requests",
    "/_fake/page/requests?q=worker&only=empty",
    "/_fake/page/depth",
    "/_fake/page/faults",
    "/_fake/page/ledger",
)


def measure(effort: Effort) -> list[Row]:
    """The row."""
    with FakeCodeQ(seed=1) as fake, fake.client() as http:
        _fill(fake, http)
        gc.freeze()  # as the server does
        task = fake.tasks(status="IN_PROGRESS")[0].id
        views = (*_VIEWS, f"/_fake/page/task?id={task}", "/_fake/page/request?n=1")
        taken = {view: median(_seconds(http, view) for _ in range(effort.repetitions)) for view in views}
    gc.unfreeze()
    slowest = max(taken, key=taken.__getitem__)
    milliseconds = taken[slowest] * 1000
    return [
        under(50, f"CPU time of the slowest view of the page, {_TASKS:,} tasks", milliseconds, " ms", remark=slowest)
    ]


def _fill(fake: FakeCodeQ, http: httpx.Client) -> None:
    """Tasks in many queues and in each state, and requests that got one or found none."""
    for number in range(_TASKS):
        fake.enqueue(f"C{number % _QUEUES}", {"number": number}, delay=number % 4 * 900)
    for number in range(_REQUESTS):
        task = http.post("/v1/codeq/tasks/claim", json={"commands": [f"C{number % (2 * _QUEUES)}"]})
        if task.content and number % 3 == 0:
            http.post(f"/v1/codeq/tasks/{task.json()['id']}/nack", json={"reason": "busy"})
        if number % 100 == 0:
            fake.advance(seconds=60)


def _seconds(http: httpx.Client, view: str) -> float:
    """The CPU seconds of a view, its client included."""
    start = time.process_time()
    http.get(view).raise_for_status()
    return time.process_time() - start

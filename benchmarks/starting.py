"""The time to start a fake, on a port and in this process, and to reset one."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from codeq_fake.testing import FakeCodeQ

from .driver import CREATE, drive, once
from .rows import under
from .servers import fake

if TYPE_CHECKING:
    from .effort import Effort
    from .rows import Row

_TASKS = 100


def measure(effort: Effort) -> list[Row]:
    """The rows."""
    _ready_in_process()  # the first one loads modules, which is not counted
    in_process = median(_ready_in_process() for _ in range(effort.repetitions))
    reset = median(_reset() for _ in range(effort.repetitions))
    served = median(_served() for _ in range(effort.repetitions))
    return [
        under(0.6, "codeq-fake serve, from start to first answer", served, " s"),
        under(10, "a fake in process, to its first answer", in_process * 1000, " ms"),
        under(1, f"reset of a fake with {_TASKS} tasks", reset * 1000, " ms"),
    ]


def _served() -> float:
    start = time.perf_counter()
    with fake() as server:
        drive(server.url, [once(CREATE)])
        return time.perf_counter() - start


def _ready_in_process() -> float:
    start = time.perf_counter()
    with FakeCodeQ() as codeq, codeq.client() as client:
        client.get("/metrics").raise_for_status()
        return time.perf_counter() - start


def _reset() -> float:
    codeq = FakeCodeQ()
    for _ in range(_TASKS):
        codeq.enqueue("BENCH", {"jobId": "job-123"})
    start = time.perf_counter()
    codeq.reset()
    return time.perf_counter() - start

"""The time to start a fake, on a port and in this process, and to reset one."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from codeq_fake.testing import FakeCodeQ

from .driver import CREATE, drive, once
from .rows import under
from .servers import fake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .effort import Effort
    from .rows import Row

_TASKS = 100
_SERVER = "import starlette, uvicorn"
_TESTING = "import codeq_fake.testing"
_CLIENT_AND_SERVER = "import starlette.applications, uvicorn, httpx"


def measure(effort: Effort) -> list[Row]:
    """The rows."""
    _ready_in_process()  # the first one loads modules, which is not counted
    in_process = median(_ready_in_process() for _ in range(effort.repetitions))
    reset = median(_reset() for _ in range(effort.repetitions))
    starts = [(_served(), _run(_SERVER)) for _ in range(effort.repetitions)]
    imports = [(_run(_TESTING), _run(_CLIENT_AND_SERVER)) for _ in range(effort.repetitions)]
    served = median(our for our, _ in starts)
    return [
        under(0.6, "codeq-fake serve, from start to first answer", served, " s"),
        _compare(1.5, f"the same, against python -c '{_SERVER}'", starts),
        _compare(0.8, f"python -c '{_TESTING}', against '{_CLIENT_AND_SERVER}'", imports),
        under(10, "a fake in process, to its first answer", in_process * 1000, " ms"),
        under(1, f"reset of a fake with {_TASKS} tasks", reset * 1000, " ms"),
    ]


def _compare(bound: float, what: str, pairs: Sequence[tuple[float, float]]) -> Row:
    ours, theirs = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(our / their for our, their in pairs)
    return under(bound, what, ratio, remark=f"{ours * 1000:.0f} against {theirs * 1000:.0f} ms")


def _run(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


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

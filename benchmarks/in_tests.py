"""The time that a fake costs a test, measured inside a pytest run, and the cost of hours on the auto clock."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from codeq_client import CodeQ, Worker
from codeq_client.testing import ServerClock
from codeq_fake.testing import FakeCodeQ, run

from .rows import under

if TYPE_CHECKING:
    from codeq_client import Job

    from .effort import Effort
    from .rows import Row

_TESTS = 1000
_SERVED_TESTS = 50
_HOURS = 10

#: Records the time of each test's set-up and tear-down.
_STOPWATCH = """
import json
import time

import pytest

taken = []

@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    start = time.perf_counter()
    yield
    item.stash["setup"] = time.perf_counter() - start

@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    start = time.perf_counter()
    yield
    taken.append(item.stash["setup"] + time.perf_counter() - start)

def pytest_sessionfinish():
    with open("taken.json", "w") as file:
        json.dump(taken, file)
"""

_TEST = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_something({fixture}, number):
    {fixture}.enqueue("BENCH", number)
"""


def measure(effort: Effort) -> list[Row]:
    """The rows."""
    tests, session = _in_pytest("codeq", _TESTS)
    served, _ = _in_pytest("codeq_server", _SERVED_TESTS)
    hours = median(seconds_of_work(_HOURS) for _ in range(effort.repetitions))
    return [
        under(0.3, "set-up and tear-down of a test with codeq", median(tests) * 1000, " ms"),
        under(10, f"{_TESTS:,} tests with codeq, pytest's own time included", session, " s"),
        under(60, "set-up and tear-down of a test with codeq_server", median(served) * 1000, " ms"),
        under(3, f"{_HOURS} h of one task, its lease renewed every 20 s, auto clock", hours, " s"),
    ]


def _in_pytest(fixture: str, tests: int) -> tuple[list[float], float]:
    """The seconds of each test's set-up and tear-down, and of the whole run."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(_STOPWATCH, encoding="utf-8")
        (folder / "test_bench.py").write_text(_TEST.format(fixture=fixture, tests=tests), encoding="utf-8")
        # Users do not have the plugin schemathesis, which takes seconds to load.
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "."]
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        session = time.perf_counter() - start
        taken: list[float] = json.loads((folder / "taken.json").read_text(encoding="utf-8"))
        return taken, session


def seconds_of_work(hours: int) -> float:
    """The real seconds that a worker takes for one task of so many virtual hours."""
    start = time.perf_counter()
    run(_work(hours))
    return time.perf_counter() - start


async def _work(hours: int) -> None:
    codeq = FakeCodeQ(clock="auto")
    client = CodeQ(
        "http://codeq.test",
        producer_token="dev-token",  # noqa: S106 - a token of a fake, no secret
        worker_token="dev-token",  # noqa: S106 - as above
        transport=codeq.transport(),
        clock=ServerClock(codeq.time, codeq.sleep),
    )
    worker = Worker(client, concurrency=1, lease=60)

    @worker.handler("BENCH", timeout=math.inf)
    async def handle(job: Job[Any]) -> None:  # noqa: ARG001 - the signature of a handler
        await asyncio.sleep(hours * 3600)

    task = await client.create("BENCH", {})
    await worker.run(burst=True, signals=False)
    codeq.assert_completed(task.id)

"""Handlers in processes: what they return, raise and report, and that they are killed when they must end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from codeq_client import CodeQ, Complete, Event, Fail, Job, Registry, Retry, Settled, Task, TaskEnded, Worker
from codeq_client._worker.handler_process import HandlerCall
from codeq_client._worker.handlers import takes_context
from codeq_client._worker.process_pool import ProcessPool
from codeq_client.errors import ConfigurationError, HandlerProcessError, TaskNotFound
from codeq_client.testing import run_one
from codeq_fake.testing import FakeCodeQ
from tests.client.programs import program, wait_until
from tests.client.support import Scenario
from tests.client.worker import process_handlers as handlers

in_process = pytest.mark.process
ROOT = Path(__file__).parents[3]


def call(function: Callable[..., Any], payload: Any = None) -> HandlerCall:
    job = Job(Task(id="t-1", command="X", status="IN_PROGRESS"), payload)
    return HandlerCall(function, takes_context(function), job)


def is_alive(pid: int) -> bool:
    """Return whether a process runs: a killed one may be a zombie until its parent looks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[ProcessPool]:
    with ProcessPool() as pool:
        yield pool


def nothing() -> None:
    """A progress report that no test needs."""


@in_process
@pytest.mark.asyncio(loop_scope="module")
async def test_a_process_returns_what_the_function_returns_and_is_used_again(
    pool: ProcessPool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await pool.run(call(handlers.echo, [1, {"b": None}]), nothing) == [1, {"b": None}]
    assert ("returning [1, {'b': None}]", "t-1") in [(r.message, getattr(r, "task_id", "")) for r in caplog.records]
    assert await pool.run(call(handlers.task_id), nothing) == "t-1"
    assert await pool.run(call(handlers.artifacts), nothing) == Complete({"a": 1})
    first = await pool.run(call(handlers.process_id), nothing)
    assert await pool.run(call(handlers.stray_signal), nothing) == "still here"
    assert await pool.run(call(handlers.process_id), nothing) == first != os.getpid()


@in_process
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (handlers.retry, Retry, "busy"),
        (handlers.fail, Fail, "no such master"),
        (handlers.bug, KeyError, "'k'"),
        (handlers.not_found, TaskNotFound, "not-found (HTTP 404)"),
        (handlers.unportable, HandlerProcessError, "Unportable: one two"),
        (handlers.leave, SystemExit, "no licence"),
        (handlers.no_pickle, Fail, "the result cannot leave the handler's process: "),
        (handlers.crash, HandlerProcessError, "the handler's process was ended by SIGSEGV"),
    ],
)
async def test_what_a_function_raises_leaves_its_process(
    pool: ProcessPool, function: Callable[..., Any], kind: type[BaseException], text: str
) -> None:
    with pytest.raises(kind) as raised:
        await pool.run(call(function), nothing)
    assert str(raised.value).startswith(text)
    assert getattr(raised.value, "delay", 30) == 30
    if function is handlers.bug:
        assert "process_handlers.py" in raised.value.__notes__[0]


@in_process
@pytest.mark.asyncio(loop_scope="module")
async def test_progress_is_reported_to_the_worker(pool: ProcessPool) -> None:
    reported: list[None] = []
    await pool.run(call(handlers.steps), lambda: reported.append(None))
    assert len(reported) == 3


def process_ids(file: Path) -> list[int]:
    """Return the ids that `hang` wrote; none until all are there."""
    found = [int(text) for text in file.read_text().split()] if file.exists() else []
    return found if len(found) == 3 else []


@in_process
@pytest.mark.asyncio
async def test_a_handler_in_a_process_is_killed_with_all_that_it_started_when_its_lease_is_lost(tmp_path: Path) -> None:
    file, ended = tmp_path / "ids", dict[str, TaskEnded]()

    def note(event: Event) -> None:
        if isinstance(event, TaskEnded):
            ended.setdefault(event.task.command, event)  # the revoked task is delivered here again

    fake = FakeCodeQ(clock="real")
    codeq = CodeQ("http://codeq.test", producer_token="dev-token", worker_token="dev-token", transport=fake.transport)
    worker = Worker(codeq, handlers.registry, lease=5, poll=1, grace=0, concurrency=2, hooks=[note])
    hanging, _ = fake.enqueue("HANG", str(file)), fake.enqueue("CRASH", {}, max_attempts=2)
    async with codeq, asyncio.TaskGroup() as group:
        group.create_task(worker.run(signals=False))
        await asyncio.to_thread(wait_until, lambda: bool(process_ids(file)), 60)
        killed = process_ids(file)
        fake.race("revoke_lease", hanging.id)
        await asyncio.to_thread(wait_until, lambda: len(ended) == 2, 60)
        worker.stop()
    assert ended["HANG"].settled is Settled.LOST
    assert ended["CRASH"].settled is Settled.DEAD, "the worker goes on"
    assert ended["CRASH"].detail == "HandlerProcessError: the handler's process was ended by SIGSEGV"
    wait_until(lambda: not any(is_alive(pid) for pid in [*killed, *process_ids(file)]), 10)


WORKER = """
import asyncio, sys
from codeq_client import Job, Task
from codeq_client._worker.handler_process import HandlerCall
from codeq_client._worker.handlers import takes_context
from codeq_client._worker.process_pool import ProcessPool
from tests.client.worker.process_handlers import hang

async def main():
    with ProcessPool() as pool:
        job = Job(Task(id="t", command="ACT", status="IN_PROGRESS"), sys.argv[1])
        await pool.run(HandlerCall(hang, False, job), print)

if __name__ == "__main__":
    asyncio.run(main())
"""


@in_process
def test_a_handlers_process_ends_when_the_workers_process_is_killed(tmp_path: Path) -> None:
    script, file = tmp_path / "run.py", tmp_path / "pids"
    script.write_text(WORKER)
    with program([sys.executable, script, file], env={**os.environ, "PYTHONPATH": str(ROOT)}) as worker:
        wait_until(lambda: bool(process_ids(file)), 60)
        worker.send_signal(signal.SIGKILL)
    try:
        wait_until(lambda: not any(is_alive(pid) for pid in process_ids(file)), 10)
    finally:
        for pid in process_ids(file):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.asyncio
async def test_on_a_test_clock_such_handlers_run_on_threads(scenario: Scenario) -> None:
    worker = scenario.worker(registry=handlers.registry)
    assert await run_one(worker, "STEPS", None) == Complete(os.getpid())


async def asynchronous(_job: Job[Any]) -> None: ...


@pytest.mark.parametrize("function", [asynchronous, lambda _job: None], ids=["async", "lambda"])
def test_a_function_that_a_process_cannot_find_is_refused(function: Any) -> None:
    with pytest.raises(ConfigurationError, match='must be a plain function of a module, because of pool="process"'):
        Registry().handler("X", pool="process")(function)
    wrong: Any = "fibre"
    with pytest.raises(ConfigurationError, match='pool must be "thread" or "process"'):
        Registry().handler("X", pool=wrong)

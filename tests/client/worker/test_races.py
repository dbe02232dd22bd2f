"""The races of the real server (Z1 to Z4), and how a worker handles them. Z3 is with the other lost leases."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
from typing import Any

import httpx
import pytest

from codeq_client import CodeQ, Job, NewTask, Task, Worker, keep_first_result
from codeq_client.errors import WaitTimeout
from codeq_fake import faults
from codeq_fake.testing import FakeCodeQ
from tests.client.support import Scenario, refused

pytestmark = pytest.mark.slow


def finish_again(scenario: Scenario, task_id: str) -> None:
    """Z1: the second copy of a finished task's id is in its queue."""
    scenario.edit(task_id, state="READY")


@pytest.mark.asyncio
async def test_a_redelivered_task_says_that_it_was_finished(scenario: Scenario) -> None:
    worker = scenario.worker()
    repeats = []

    @worker.handler("X")
    async def work(job: Job[Any]) -> int:
        repeats.append(job.was_finished)
        return len(repeats)

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
        finish_again(scenario, task_id)
        await scenario.until_ended(2)
    assert repeats == [False, True]


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_keep_first_result_answers_a_repeat_with_the_first_result(scenario: Scenario, fails: bool) -> None:  # noqa: FBT001 - parametrized
    worker = scenario.worker(middleware=[keep_first_result(scenario.codeq)])
    calls = 0

    @worker.handler("X", permanent=(ValueError,))
    async def work(_job: Job[Any]) -> int:
        nonlocal calls
        calls += 1
        if fails:
            raise ValueError(calls)
        return calls

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
        first = scenario.task(task_id)
        finish_again(scenario, task_id)
        await scenario.until_ended(2)
    assert calls == 1
    assert (scenario.task(task_id).result, scenario.task(task_id).error) == (first.result, first.error)
    assert json.dumps(first.result) == ("{}" if fails else '{"$value": 1}')


RACES = [
    faults.redeliver_finished(probability=0.1, seed=1),
    faults.lose_task(probability=0.1, seed=2),
    faults.revoke_lease(probability=0.1, seed=3),
    faults.false_empty(probability=0.2, seed=4),
]


@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto", seed=1)
async def test_workers_end_every_task_despite_all_races(codeq: FakeCodeQ, codeq_client: CodeQ) -> None:
    workers = [Worker(codeq_client, concurrency=4, lease=20, poll=5) for _ in range(2)]
    for worker in workers:

        @worker.handler("X")
        async def work(job: Job[int]) -> int:
            await asyncio.sleep(job.payload % 7 * 5)
            return job.payload

    tasks = await codeq_client.create_batch(NewTask(command="X", payload=n, max_attempts=50) for n in range(100))
    async with asyncio.TaskGroup() as group:
        with codeq.faults(*RACES) as injected:
            for worker in workers:
                group.create_task(worker.run(signals=False))
            results = [await codeq_client.wait_for_result(task.id, 7200) for task in tasks.all()]
            assert injected.fired > 30
        for worker in workers:
            worker.stop()
    assert results == list(range(100))


async def hold(scenario: Scenario, worker: Worker, seconds: float) -> tuple[str, asyncio.Task[None]]:
    """Let the worker hold a task that takes `seconds`, and let the server lose it (Z2)."""

    @worker.handler("X")
    async def work(_job: Job[Any]) -> str:
        await scenario.clock.sleep(seconds)
        return "done"

    task_id = scenario.enqueue("X", {})
    run = asyncio.create_task(worker.run(signals=False))
    await scenario.clock.advance(1)
    scenario.edit(task_id, state="LOST")
    return task_id, run


@pytest.mark.asyncio
async def test_a_task_that_the_server_lost_is_completed_by_its_worker(scenario: Scenario) -> None:
    worker = scenario.worker(lease=9)
    task_id, run = await hold(scenario, worker, 60)
    await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]
    assert scenario.task(task_id).status == "COMPLETED"
    worker.stop()
    await scenario.clock.advance_until(run.done)


@pytest.mark.asyncio
async def test_a_lost_task_whose_worker_died_is_delivered_only_after_an_abandon_with_its_subject(
    scenario: Scenario,
) -> None:
    task_id, run = await hold(scenario, scenario.worker(lease=9), 60)
    scenario.network.fault_for = lambda _request: refused
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await scenario.clock.advance_until(run.done)
        await run
    waiting = asyncio.create_task(scenario.calm.wait_for_result(task_id, timeout=600))
    await scenario.clock.advance_until(waiting.done)
    assert await scenario.calm.claim(["X"]) is None
    with pytest.raises(WaitTimeout, match=r"still IN_PROGRESS \(w, leased until 2026-11-24 08:00:0.*\) after 600 s"):
        await waiting
    scenario.network.fault_for = lambda _request: None
    await scenario.codeq.abandon(task_id)  # any client with the dead worker's subject
    task = await scenario.calm.claim(["X"])
    assert task
    assert (task.id, task.attempts) == (task_id, 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("after", [0.0, 1.0], ids=["at once", "in time"])
async def test_a_false_204_delays_a_task_but_loses_none(scenario: Scenario, after: float) -> None:
    worker = scenario.worker(concurrency=3)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None: ...

    async def empty(_request: Any, _forward: Any) -> httpx.Response:
        await scenario.clock.sleep(after)
        return httpx.Response(204)

    scenario.network.fail("claim", empty, None, empty, None, empty, empty, None)
    for _ in range(5):
        scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(8)
    assert len(scenario.ended()) == 5
    assert not scenario.unended()


def test_the_old_place_of_keep_first_result_says_its_new_one() -> None:
    sys.modules.pop("codeq_client.repeats", None)
    with pytest.warns(DeprecationWarning, match="import keep_first_result from codeq_client"):
        repeats = importlib.import_module("codeq_client.repeats")
    assert repeats.keep_first_result is keep_first_result


@pytest.mark.parametrize("key", ["", "codeq:results"])
def test_the_old_name_of_was_finished_says_its_new_one(key: str) -> None:
    job = Job(Task(id="x", command="X", status="IN_PROGRESS", result_key=key), None)
    with pytest.warns(DeprecationWarning, match=r"use Job\.was_finished"):
        assert job.is_repeat is bool(key)

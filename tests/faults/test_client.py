"""The bundled client's worker survives each of the real server's races, made by fault rules."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from codeq_client import Worker, keep_first_result
from codeq_fake import faults

if TYPE_CHECKING:
    from codeq_client import CodeQ, Job
    from codeq_fake.faults import Rule
    from codeq_fake.testing import FakeCodeQ

TASKS = 5


async def work_off(codeq: FakeCodeQ, client: CodeQ, seconds: float = 300) -> Counter[int]:
    """Let a worker do five tasks of 20 s for so long; how often each was done."""
    done: Counter[int] = Counter()
    worker = Worker(client, lease=60, concurrency=2, middleware=[keep_first_result(client)])

    @worker.handler("RENDER")
    async def render(job: Job[Any]) -> dict[str, int]:
        await asyncio.sleep(20)
        done[job.payload] += 1
        return {"n": job.payload}

    for n in range(TASKS):
        codeq.enqueue("RENDER", n)
    running = asyncio.create_task(worker.run(signals=False))
    await asyncio.sleep(seconds)
    worker.stop()
    await running
    return done


@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto", profile="redis")
@pytest.mark.parametrize(
    ("rule", "repeated"),
    [
        (faults.redeliver_finished(times=2), 0),
        (faults.revoke_lease(times=2), 2),
        (faults.revoke_lease(on="complete", times=2), 2),
        (faults.revoke_lease(on="heartbeat", times=2), 0),
        (faults.false_empty(times=3), 0),
    ],
    ids=str,
)
async def test_a_worker_completes_every_task_though_there_are_races(
    codeq: FakeCodeQ, codeq_client: CodeQ, rule: Rule, repeated: int
) -> None:
    with codeq.faults(rule) as fault:
        done = await work_off(codeq, codeq_client)
    assert fault.fired == rule.times
    assert [(task.status, task.result) for task in codeq.tasks()] == [("COMPLETED", {"n": n}) for n in range(TASKS)]
    assert done.total() <= TASKS + repeated, "what was done twice had been taken away"


@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto", profile="redis")
@pytest.mark.parametrize("on", ["claim", "heartbeat"])
async def test_a_worker_that_lives_completes_a_lost_task(codeq: FakeCodeQ, codeq_client: CodeQ, on: str) -> None:
    with codeq.faults(faults.lose_task(on=on, times=1)) as fault:
        done = await work_off(codeq, codeq_client)
    assert (fault.fired, done) == (1, Counter(range(TASKS)))
    assert {task.status for task in codeq.tasks()} == {"COMPLETED"}

"""Batch handlers: jobs of one command are handled together, and each has its own lease and result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any

import pytest

from codeq_client import Complete, Fail, Job, current_task, in_batches
from codeq_client.errors import ConfigurationError
from codeq_client.testing import run_one
from tests.client.support import Scenario

Handle = Callable[[Sequence[Job[Any]]], Awaitable[Sequence[Any]]]


class Doubling:
    """A function for batches: it doubles numbers in some seconds, and notes what it got."""

    def __init__(self, scenario: Scenario, seconds: float = 0) -> None:
        self.batches: list[list[Any]] = []
        self.times: list[float] = []
        self.reasons: list[str] = []
        self._clock = scenario.clock
        self._seconds = seconds

    async def handle(self, jobs: Sequence[Job[Any]]) -> Sequence[Any]:
        self.batches.append([job.payload for job in jobs])
        self.times.append(self._clock.monotonic())
        assert current_task.get() is None
        try:
            await self._clock.sleep(self._seconds)
        except asyncio.CancelledError as error:
            self.reasons.append(str(error))
            raise
        return [2 * job.payload for job in jobs]


@pytest.mark.asyncio
async def test_jobs_that_come_together_are_handled_together(scenario: Scenario) -> None:
    doubling = Doubling(scenario)
    worker = scenario.worker(concurrency=10)
    worker.handler("X")(in_batches(10)(doubling.handle))
    tasks = [scenario.enqueue("X", number) for number in range(30)]
    async with scenario.running(worker):
        await scenario.until_ended(30)
    assert [scenario.task(task).result for task in tasks] == [{"$value": 2 * number} for number in range(30)]
    assert sorted(chain(*doubling.batches)) == list(range(30))
    assert len(doubling.batches) <= 4


@pytest.mark.asyncio
async def test_a_batch_that_is_not_full_begins_after_its_time(scenario: Scenario) -> None:
    doubling = Doubling(scenario)
    worker = scenario.worker(concurrency=10)
    worker.handler("X")(in_batches(10, within=3)(doubling.handle))
    begin = scenario.clock.monotonic()
    for number in range(2):
        scenario.enqueue("X", number)
    async with scenario.running(worker):
        await scenario.until_ended(2)
    assert sorted(doubling.batches[0]) == [0, 1]
    assert 3 <= doubling.times[0] - begin <= 4


@pytest.mark.asyncio
async def test_a_full_batch_does_not_wait(scenario: Scenario) -> None:
    doubling = Doubling(scenario)
    worker = scenario.worker(concurrency=10)
    worker.handler("X")(in_batches(2, within=20)(doubling.handle))
    for number in range(4):
        scenario.enqueue("X", number)
    begin = scenario.clock.monotonic()
    async with scenario.running(worker):
        await scenario.until_ended(4)
    assert [len(batch) for batch in doubling.batches] == [2, 2]
    assert doubling.times[-1] - begin < 2


async def end_differently(jobs: Sequence[Job[int]]) -> list[int | Fail]:
    return [Fail("odd") if job.payload % 2 else job.payload for job in jobs]


@pytest.mark.asyncio
async def test_each_job_of_a_batch_has_its_own_outcome(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=2)
    worker.handler("X")(in_batches(2)(end_differently))
    tasks = [scenario.enqueue("X", number) for number in range(2)]
    async with scenario.running(worker):
        await scenario.until_ended(2)
    assert [scenario.task(task).status for task in tasks] == ["COMPLETED", "FAILED"]


async def broken(_jobs: Sequence[Job[Any]]) -> list[None]:
    raise ZeroDivisionError


async def leaving(_jobs: Sequence[Job[Any]]) -> list[None]:
    raise SystemExit(3)


async def short(_jobs: Sequence[Job[Any]]) -> list[None]:
    return []


async def silent(_jobs: Sequence[Job[Any]]) -> Any:
    """Return nothing, as a function does that is not checked by types."""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("function", "error"),
    [
        (broken, "ZeroDivisionError"),
        (leaving, "SystemExit: 3"),
        (short, "TypeError: the batch handler must return a list of 2 results, not []"),
        (silent, "TypeError: the batch handler must return a list of 2 results, not None"),
    ],
)
async def test_an_error_of_the_function_counts_for_each_job(scenario: Scenario, function: Handle, error: str) -> None:
    worker = scenario.worker(concurrency=2)
    worker.handler("X")(in_batches(2)(function))
    tasks = [scenario.enqueue("X", number, max_attempts=1) for number in range(2)]
    async with scenario.running(worker):
        await scenario.until_ended(2)
    assert [scenario.task(task).error for task in tasks] == [error, error]


@pytest.mark.asyncio
async def test_a_lost_lease_drops_one_result_and_the_last_one_cancels_the_function(scenario: Scenario) -> None:
    doubling = Doubling(scenario, seconds=60)
    worker = scenario.worker(concurrency=2, lease=30)
    worker.handler("X")(in_batches(2)(doubling.handle))
    first, second = (scenario.enqueue("X", number) for number in range(2))
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        worker.pause()
        await scenario.clock.advance(5)
        assert scenario.race(first, "revoke_lease")
        await scenario.until_ended(1)
        assert scenario.ended() == [(first, "lost")]
        assert doubling.reasons == [], "the other job still has its lease"
        assert scenario.race(second, "revoke_lease")
        await scenario.until_ended(2)
    assert doubling.reasons == [f"the lease on task {second} is lost: revoked"]


@pytest.mark.asyncio
async def test_a_job_that_is_lost_while_its_batch_is_open_is_not_handled(scenario: Scenario) -> None:
    doubling = Doubling(scenario)
    worker = scenario.worker(concurrency=4, lease=30)
    worker.handler("X")(in_batches(4, within=40)(doubling.handle))
    lost, kept = (scenario.enqueue("X", number) for number in range(2))
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        worker.pause()  # another worker may claim it again, not this one
        await scenario.clock.advance(5)
        assert scenario.race(lost, "revoke_lease")
        await scenario.until_ended(2)
    assert scenario.task(kept).status == "COMPLETED"
    assert doubling.batches == [[1]]


@pytest.mark.asyncio
async def test_a_stopping_worker_handles_an_open_batch_and_gives_back_one_that_takes_too_long(
    scenario: Scenario,
) -> None:
    quick, slow = Doubling(scenario), Doubling(scenario, seconds=60)
    worker = scenario.worker(concurrency=4, grace=10)
    worker.handler("QUICK")(in_batches(4, within=5)(quick.handle))
    worker.handler("SLOW")(in_batches(2)(slow.handle))
    handled = [scenario.enqueue("QUICK", number) for number in range(2)]
    returned = [scenario.enqueue("SLOW", number) for number in range(2)]
    async with scenario.running(worker):
        await scenario.clock.advance(2)
    assert [scenario.task(task).status for task in handled] == ["COMPLETED"] * 2
    assert [scenario.task(task).status for task in returned] == ["PENDING"] * 2
    assert len(slow.reasons) == 1


@pytest.mark.asyncio
async def test_two_runs_do_not_share_a_batch(scenario: Scenario) -> None:
    doubling = Doubling(scenario)
    first, second = scenario.worker(concurrency=1), scenario.worker(scenario.calm, concurrency=1)
    handler = in_batches(2, within=1)(doubling.handle)
    first.handler("X")(handler)
    second.handler("X")(handler)
    for number in range(2):
        scenario.enqueue("X", number)
    async with scenario.running(first), scenario.running(second):
        await scenario.until_ended(2)
    assert sorted(doubling.batches) == [[0], [1]]


@pytest.mark.asyncio
async def test_a_batch_handler_runs_in_a_test_with_one_job(scenario: Scenario) -> None:
    handler = in_batches(5)(Doubling(scenario).handle)
    run = asyncio.create_task(run_one(handler, 4))
    assert await run == Complete(8)


def plain(_jobs: Sequence[Job[Any]]) -> list[None]:
    return []


async def with_context(_jobs: Sequence[Job[Any]], _task: object) -> list[None]:
    return []


@pytest.mark.parametrize("function", [plain, with_context])
def test_a_function_that_cannot_take_batches_is_refused(function: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be an async function of a list of jobs"):
        in_batches(2)(function)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": 1, "within": -1}], ids=str)
def test_a_wrong_size_or_time_is_refused(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be"):
        in_batches(**arguments)

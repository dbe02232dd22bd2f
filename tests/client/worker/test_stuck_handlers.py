"""Handlers that do not end when they must: what they cost, and how a worker that has no slot left says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio

from codeq_client import End, HandlerStuck, Job, LeaseTerms, Worker
from codeq_client._worker.lease_timing import Lease
from codeq_client.health import Limits, live, ready
from tests.client.support import Scenario

TERMS = LeaseTerms(5, max_runtime=2)


@pytest_asyncio.fixture
async def scenario() -> Scenario:
    """Tasks come back a second after their lease ended."""
    return Scenario(BACKOFF_POLICY="fixed", BACKOFF_BASE_SECONDS="1")


class StuckHandler:
    """A plain handler that returns when it is released."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.released = threading.Event()

    def __call__(self, _job: Job[Any]) -> None:
        self.started.release()
        self.released.wait(30)

    async def has_started(self, times: int = 1) -> None:
        """Return when this many calls have begun: time must not pass while their threads start."""
        for _ in range(times):
            assert await asyncio.to_thread(self.started.acquire, timeout=10)


@pytest.fixture
def stuck() -> Iterator[StuckHandler]:
    """A handler that is released when the test ends."""
    handler = StuckHandler()
    yield handler
    handler.released.set()


def with_stuck_handler(scenario: Scenario, stuck: StuckHandler, *, concurrency: int, lease: LeaseTerms) -> Worker:
    worker = scenario.worker(concurrency=concurrency, lease=lease)
    worker.handler("STUCK")(stuck)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None: ...

    return worker


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_stuck_plain_handler_takes_one_slot_however_often_its_task_comes_back(
    scenario: Scenario, stuck: StuckHandler
) -> None:
    worker = with_stuck_handler(scenario, stuck, concurrency=4, lease=TERMS)
    task_id = scenario.enqueue("STUCK", {}, max_attempts=100)
    async with scenario.running(worker):
        await stuck.has_started()
        await scenario.clock.advance(90)
        others = [scenario.enqueue("X", {}) for _ in range(20)]
        await scenario.clock.advance(10)
        assert {scenario.task(each).status for each in others} == {"COMPLETED"}
        status = worker.status()
        assert (status.tasks, status.stuck, status.standstill) == (1, 1, 0)
        assert status.oldest > 90
        stuck.released.set()
    assert (task_id, "abandoned") in scenario.ended()


@pytest.mark.asyncio
async def test_a_task_whose_old_handler_is_stuck_is_given_to_a_healthy_worker(
    scenario: Scenario, stuck: StuckHandler
) -> None:
    worker = with_stuck_handler(scenario, stuck, concurrency=2, lease=LeaseTerms(6, max_runtime=None))
    task_id = scenario.enqueue("STUCK", {}, max_attempts=100)
    async with scenario.running(worker):
        await stuck.has_started()
        await scenario.clock.advance(2)
        scenario.race(task_id, "revoke_lease")
        await scenario.clock.advance(15)
        healthy = Worker(scenario.calm, poll=1)
        done: list[str] = []

        @healthy.handler("STUCK")
        async def work(job: Job[Any]) -> None:
            done.append(job.id)

        async with scenario.running(healthy):
            await scenario.clock.advance(20)
        stuck.released.set()
    assert done == [task_id]


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.differs_on("main/pebble", "P6")
async def test_a_task_of_a_stuck_handler_uses_up_few_attempts(
    scenario: Scenario, stuck: StuckHandler, caplog: pytest.LogCaptureFixture
) -> None:
    worker = with_stuck_handler(scenario, stuck, concurrency=4, lease=LeaseTerms(60, max_runtime=30))
    task_id = scenario.enqueue("STUCK", {}, max_attempts=100)
    async with scenario.running(worker):
        await stuck.has_started()
        await scenario.clock.advance(600)
        assert scenario.task(task_id).attempts < 10
        stuck.released.set()
    assert f"task {task_id} is handed back, because its earlier handler is stuck here" in caplog.text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("slots", "limit"), [(2, None), (8, 2)], ids=["stuck in each slot", "stuck as often as the command's limit"]
)
async def test_a_worker_without_a_usable_slot_says_so(
    scenario: Scenario, stuck: StuckHandler, caplog: pytest.LogCaptureFixture, slots: int, limit: int | None
) -> None:
    worker = scenario.worker(concurrency=slots, lease=TERMS)
    worker.handler("STUCK", concurrency=limit)(stuck)
    for _ in range(2):
        scenario.enqueue("STUCK", {})
    async with scenario.running(worker):
        await stuck.has_started(2)
        await scenario.clock.advance(5)
        assert ready(worker.status(), Limits())
        await scenario.clock.advance(4)
        status = worker.status()
        assert (ready(status, Limits()), live(status, Limits())) == (False, True)
        await scenario.clock.advance(30)
        last = worker.status()
        stuck.released.set()
    assert not live(last, Limits())
    events = [event for _, event in scenario.events if isinstance(event, HandlerStuck)]
    assert [event.end.value for event in events] == ["overdue", "overdue"]
    (record,) = [record for record in caplog.records if "no slot is left" in record.message]
    assert record.levelname == "ERROR"


def test_a_handler_has_an_hour_by_default() -> None:
    lease = Lease(LeaseTerms(7200), sent=0, now=0, random=lambda: 0)
    assert (lease.ended(3599), lease.ended(3600)) == (None, End.OVERDUE)

"""Limits by handler: how long it may run, how many of its tasks run at once, and how many are started in a time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from codeq_client import Event, Job, LeaseEnded, LeaseTerms, Policy, Rate, TaskContext, TaskEnded, TaskStarted
from codeq_client.errors import ConfigurationError
from tests.client.support import Scenario, sleeper


class Work:
    """A handler that takes some seconds, and what it saw: the start of each task and the most tasks at once."""

    def __init__(self, scenario: Scenario, seconds: float) -> None:
        self.starts: list[float] = []
        self.most = 0
        self._scenario = scenario
        self._seconds = seconds
        self._running = 0

    async def __call__(self, _job: Job[Any]) -> None:
        self.starts.append(self._scenario.clock.monotonic())
        self._running += 1
        self.most = max(self.most, self._running)
        await self._scenario.clock.sleep(self._seconds)
        self._running -= 1


@pytest.mark.asyncio
async def test_a_command_runs_no_more_tasks_at_once_than_its_limit_and_the_others_use_the_slots(
    scenario: Scenario,
) -> None:
    worker = scenario.worker(concurrency=6)
    limited, free = Work(scenario, 10), Work(scenario, 10)
    worker.handler("LIMITED", concurrency=2)(limited)
    worker.handler("FREE")(free)
    for _ in range(5):
        scenario.enqueue("Limited", {})  # C2
        scenario.enqueue("FREE", {})
    async with scenario.running(worker):
        await scenario.until_ended(10)
    assert limited.most == 2
    assert free.most >= 4
    assert limited.starts[4] - limited.starts[0] < 23, "two at a time"


@pytest.mark.asyncio
async def test_a_freed_place_of_a_limited_command_is_used_within_a_second(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=6, poll=20)
    limited = Work(scenario, 5)
    worker.handler("LIMITED", concurrency=1)(limited)
    worker.handler("IDLE")(sleeper(scenario.clock, 0))
    scenario.enqueue("LIMITED", {})
    scenario.enqueue("LIMITED", {})
    async with scenario.running(worker):
        await scenario.until_ended(2)
    assert limited.starts[1] - limited.starts[0] <= 6.5


@pytest.mark.asyncio
async def test_a_command_starts_no_more_tasks_in_a_time_than_its_rate(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=8)
    limited, free = Work(scenario, 0), Work(scenario, 0)
    worker.handler("LIMITED", rate=Rate(3, seconds=10))(limited)
    worker.handler("FREE")(free)
    for _ in range(9):
        scenario.enqueue("LIMITED", {})
        scenario.enqueue("FREE", {})
    async with scenario.running(worker):
        await scenario.until_ended(18)
    assert all(limited.starts[n + 3] - limited.starts[n] >= 10 for n in range(6)), limited.starts
    assert limited.starts[-1] - limited.starts[0] < 24, "and it uses what it may"
    assert free.starts[-1] - free.starts[0] < 2


@pytest.mark.asyncio
@pytest.mark.parametrize("policy", [Policy(rate=Rate(2, seconds=60)), Policy(concurrency=1)], ids=["rate", "slots"])
async def test_a_burst_handles_all_tasks_of_a_limited_command(scenario: Scenario, policy: Policy) -> None:
    worker = scenario.worker()
    worker.handler("X", **policy)(sleeper(scenario.clock, 5))
    worker.handler("Y")(sleeper(scenario.clock, 0))
    tasks = {scenario.enqueue("X", {}) for _ in range(5)}
    await scenario.finished(worker.run(burst=True, signals=False))
    assert {task_id for task_id, settled in scenario.ended() if settled == "completed"} == tasks


@pytest.mark.asyncio
async def test_a_command_at_its_rate_costs_no_claims_until_it_may_start_a_task(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X", rate=Rate(1, seconds=60))(sleeper(scenario.clock, 0))
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
        before = len(scenario.network.times("claim"))
        await scenario.clock.advance(50)
        assert len(scenario.network.times("claim")) == before


async def run_of_100_seconds(scenario: Scenario, policy: Policy, **settings: Any) -> tuple[float, str]:
    """Run one task of 100 s, and return how long it ran and the reason of its end."""
    worker = scenario.worker(**settings)
    worker.handler("X", **policy)(sleeper(scenario.clock, 100))
    scenario.enqueue("X", {}, max_attempts=1)
    async with scenario.running(worker):
        await scenario.until_ended()
    times = [at for at, event in scenario.events if isinstance(event, TaskStarted | TaskEnded)]
    return times[1] - times[0], reason(scenario.events)


def reason(events: list[tuple[float, Event]]) -> str:
    ends = [event.end.value for _, event in events if isinstance(event, LeaseEnded)]
    return ends[0] if ends else ""


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("policy", "lease", "seconds", "why"),
    [
        (Policy(timeout=30), LeaseTerms(60), 30, "overdue"),
        (Policy(stall=20), LeaseTerms(60), 20, "stalled"),
        (Policy(), LeaseTerms(60, max_runtime=40), 40, "overdue"),
        (Policy(timeout=math.inf, stall=math.inf), LeaseTerms(60, max_runtime=40, stall=20), 100, ""),
        (Policy(timeout=50), LeaseTerms(60, max_runtime=40), 50, "overdue"),
    ],
    ids=["timeout", "stall", "default", "no limit", "longer"],
)
async def test_a_handler_runs_no_longer_than_its_limit_or_the_workers(
    scenario: Scenario, policy: Policy, lease: LeaseTerms, seconds: float, why: str
) -> None:
    ran, end = await run_of_100_seconds(scenario, policy, lease=lease)
    assert seconds <= ran <= seconds + 1
    assert end == why


@pytest.mark.asyncio
async def test_progress_keeps_a_handler_with_a_stall_limit_alive(scenario: Scenario) -> None:
    worker = scenario.worker()

    @worker.handler("X", stall=20)
    async def work(_job: Job[Any], task: TaskContext) -> None:
        for _ in range(4):
            await task.sleep(15)
            task.progress()

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"timeout": 0}, "timeout must be a number, 0.001 or more"),
        ({"stall": "5"}, "stall must be a number"),
        ({"concurrency": 0}, "concurrency must be a whole number, 1 or more"),
        ({"rate": 5}, r"rate must be a Rate, such as Rate\(10, seconds=60\), not 5"),
    ],
    ids=str,
)
def test_a_wrong_limit_is_refused(scenario: Scenario, policy: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        scenario.worker().handler("X", **policy)


@pytest.mark.parametrize("rate", [(0, 1), (1.5, 1), (1, 0)])
def test_a_wrong_rate_is_refused(rate: Any) -> None:
    with pytest.raises(ConfigurationError, match="of a rate must be"):
        Rate(*rate)

"""Events say what happened, and not what only looked so from a reply that came late."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_client import Job, LeaseEnded, Renewed
from tests.client.support import Scenario, refused, sleeper, slow


@pytest.mark.asyncio
async def test_a_renewal_that_is_confirmed_after_the_lease_ended_is_late(scenario: Scenario) -> None:
    worker = scenario.worker(lease=6)
    worker.handler("X")(sleeper(scenario.clock, 60))
    scenario.enqueue("X", {})
    scenario.network.fail("heartbeat", slow(scenario.clock, 5))
    async with scenario.running(worker):
        await scenario.clock.advance(8)
    outcomes = [event.outcome for _, event in scenario.events if isinstance(event, Renewed)]
    assert outcomes[0] == "late"


@pytest.mark.asyncio
async def test_a_handler_that_a_shutdown_cancels_is_reported(scenario: Scenario) -> None:
    worker = scenario.worker(grace=1)
    worker.handler("X")(sleeper(scenario.clock, 600))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
    ends = [(event.task_id, event.end.value) for _, event in scenario.events if isinstance(event, LeaseEnded)]
    assert ends == [(task_id, "shutdown")]


@pytest.mark.asyncio
async def test_a_lease_that_ends_after_its_handler_cancels_none(scenario: Scenario) -> None:
    worker = scenario.worker(lease=6)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> str:
        scenario.network.fault_for = lambda request: None if request.url.path.endswith("claim") else refused
        return "done"

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended()[0] == (task_id, "lost")
    assert not [event for _, event in scenario.events if isinstance(event, LeaseEnded)]
